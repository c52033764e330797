// A template is a program, and may write any message by what stands anywhere else in the list. Templates that
// people write look at the beginning of a list and at its last turns. So the ends of the list before are
// rendered alone, and those of the new one. If the first of these texts is the whole text before without a
// piece of its middle, then the template writes the ends as if that middle was not there; and what differs
// between the two is what differs between the whole texts. If anything is not so, all is rendered.
#include "engine/growing_prompt.h"

#include <algorithm>
#include <utility>

#include "engine/long_list.h"
#include "kvevict/error.h"

namespace kvevict {

std::vector<TextPart> GrowingPrompt::render(const PromptTemplate& prompt_template,
                                            std::span<const ChatMessage> messages) {
  n_rendered_ += std::ssize(messages);
  return prompt_template.render(messages);
}

/// How `messages`, of which the first `n_same` are those of `before`, go on from the text of `before`;
/// nothing if that does not show.
std::optional<GrowingPrompt::End> GrowingPrompt::end_of(const PromptTemplate& prompt_template,
                                                        std::span<const ChatMessage> before,
                                                        std::span<const ChatMessage> messages,
                                                        std::size_t n_same) {
  const std::optional<ListEnds> ends = ends_of(messages.first(n_same));
  if (!ends) return std::nullopt;
  MarkedText old_ends, new_ends;
  try {
    old_ends.add(render(prompt_template, between_left_out(before, *ends)));
    new_ends.add(render(prompt_template, between_left_out(messages, *ends)));
  } catch (const Error&) {
    return std::nullopt;  // whether the whole list is refused is for the whole list to show
  }
  const MarkedText& whole = text_.text();
  const std::size_t n_behind = MarkedText::same_end(old_ends, whole);
  if (MarkedText::same_beginning(old_ends, whole) + n_behind < old_ends.size()) return std::nullopt;
  // What differs must lie behind the first of the last turns: else the change reaches into the middle.
  const std::size_t n_kept = MarkedText::same_beginning(old_ends, new_ends);
  const std::size_t n_dropped = old_ends.size() - n_kept;
  if (n_behind < n_dropped + messages[ends->last_turns].content.size()) return std::nullopt;
  return End{.n_same = whole.size() - n_dropped, .parts = new_ends.parts_from(n_kept)};
}

std::vector<Token> GrowingPrompt::tokens(const Model& model, const PromptTemplate& prompt_template,
                                         std::span<const ChatMessage> messages) {
  std::vector<ChatMessage> before = std::exchange(messages_, {});  // after an error nothing is gone on from
  const auto differs = std::ranges::mismatch(before, messages);
  const auto n_same = static_cast<std::size_t>(differs.in1 - before.begin());
  const std::optional<End> end = end_of(prompt_template, before, messages, n_same);
  std::vector<Token> tokens = end ? text_.tokens_with_end(model, end->n_same, end->parts)
                                  : text_.tokens(model, render(prompt_template, messages));
  before.erase(differs.in1, before.end());
  before.insert(before.end(), differs.in2, messages.end());
  messages_ = std::move(before);
  return tokens;
}

}  // namespace kvevict

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <utility>
#include <variant>

#include "answers.h"
#include "base/scope_guard.h"
#include "engine.h"
#include "kvevict/conversation.h"
#include "kvevict/error.h"
#include "kvevict/prompt_template.h"
#include "messages.h"
#include "options.h"
#include "runtime/answer_turn.h"
#include "runtime/system_sink.h"
#include "state_handle.h"

namespace kvevict::python {
namespace {

class TurnSteps;

/// A conversation and its answer under way. Touched on the worker of its context alone.
struct ChatState {
  Conversation chat;
  PromptTemplate chat_template;  // the conversation's, which says how answers are written
  std::string system;
  std::weak_ptr<TurnSteps> answer{};

  /// Once that answer has ended.
  [[nodiscard]] Conversation& settled();

  [[nodiscard]] std::shared_ptr<const AnswerFormat> format_of(const AskedMessages& asked) const {
    return chat_template.answer_format(asked.messages, asked.format);
  }
  [[nodiscard]] std::shared_ptr<const AnswerFormat> format_of(const std::string& message) const {
    AskedMessages asked{.messages = {{"user", message}}};
    if (!system.empty()) asked.messages.insert(asked.messages.begin(), {"system", system});
    return format_of(asked);
  }
};

const char* end_of_turn(AnswerEnd end) {
  switch (end) {
    case AnswerEnd::kByModel:
      return "model";
    case AnswerEnd::kAtLength:
      return "length";
    case AnswerEnd::kStopped:
      break;
  }
  return "stopped";
}

/// An answer of a conversation.
class TurnSteps final : public AnswerSteps {
 public:
  TurnSteps(std::shared_ptr<ChatState> state, const std::string& message, const AnswerOptions& form)
      : state_(std::move(state)),
        format_(form.format),
        turn_(state_->settled(), message, form, [this](std::string_view text) { text_ += text; }) {}
  TurnSteps(std::shared_ptr<ChatState> state, const AskedMessages& asked, const AnswerOptions& form)
      : state_(std::move(state)),
        format_(form.format),
        turn_(state_->settled(), asked.messages, form, [this](std::string_view text) { text_ += text; }) {}

  void take_in() {
    while (turn_.n_to_take_in() > 0) turn_.take_in();
  }

  [[nodiscard]] std::string step() override {
    if (waiting_) Session::append_each({&*waiting_, 1});
    waiting_ = turn_.draw();
    if (!waiting_) close();
    return std::exchange(text_, {});
  }

  [[nodiscard]] std::string stop() override {
    close();
    return std::exchange(text_, {});
  }

  [[nodiscard]] const char* end() const override { return end_; }
  [[nodiscard]] std::vector<Token> tokens() const override {
    return {turn_.made().begin(), turn_.made().end()};
  }
  [[nodiscard]] std::shared_ptr<const AnswerFormat> format() const override { return format_; }

  /// `stop`, whose text is asked for later.
  void close() {
    if (end_ == nullptr) end_ = end_of_turn(turn_.finish().end);
  }

 private:
  std::shared_ptr<ChatState> state_;
  std::shared_ptr<const AnswerFormat> format_;
  std::string text_{};
  AnswerTurn turn_;
  std::optional<SessionTokens> waiting_{};
  const char* end_ = nullptr;
};

Conversation& ChatState::settled() {
  if (const auto under_way = answer.lock()) under_way->close();
  return chat;
}

/// What `kvevict.llama.Conversation` is.
class ConversationHandle : public StateHandle<ChatState> {
 public:
  using StateHandle::StateHandle;

  /// `Given`: a message, or a list of them.
  template <typename Given>
  [[nodiscard]] Answer ask(const Given& given, AnswerOptions form) const {
    std::shared_ptr<TurnSteps> steps;
    const OnFailure end([&] { worker_->post([steps = std::move(steps)] {}); });
    worker_->run([&] {
      form.format = state_->format_of(given);
      steps = std::make_shared<TurnSteps>(state_, given, form);
      state_->answer = steps;
      steps->take_in();
    });
    return {worker_, steps};
  }
};

struct ChatArguments {
  std::string system;
  std::string chat_template;
  bool keep_reasoning = false;
};

ConversationHandle open_conversation(const ModelHandle& self, const nb::object& strategy,
                                     const ChatArguments& chat, const EngineArguments& engine) {
  const std::string text = strategy_text(strategy);
  auto worker = std::make_shared<Worker>();
  ConversationOptions options{.system = chat.system,
                              .prompt_template = {.source = chat.chat_template},
                              .keep_reasoning = chat.keep_reasoning};
  std::shared_ptr<ChatState> state;
  worker->run([&] {
    const std::shared_ptr<const Policy> policy = make_policy(
        with_system_sink(parse_strategy(text), text, *self.model, chat.system, options.prompt_template));
    options.session = session_options(engine, *self.model, *policy, worker->cancel());
    state = std::make_shared<ChatState>(
        ChatState{.chat = Conversation(self.model, policy, options),
                  .chat_template = PromptTemplate(*self.model, options.prompt_template),
                  .system = chat.system});
  });
  return {self.model, worker, state};
}

using MessageOrList = std::variant<std::string, nb::list>;

[[noreturn]] void refuse_argument(const char* name, const char* sentence) {
  throw Error(ErrorCode::kInvalidArgument, sentence, name);
}

Answer ask(const ConversationHandle& self, const MessageOrList& message, const nb::object& tools,
           const nb::object& tool_choice, const AnswerOptions& form) {
  if (const auto* text = std::get_if<std::string>(&message)) {
    if (!tools.is_none() || !tool_choice.is_none()) {
      refuse_argument("tools",
                      "tools and tool_choice are given with a text: they belong to a list of messages, "
                      "whose functions they are");
    }
    return self.ask(*text, form);
  }
  const AskedMessages asked = asked_from(std::get<nb::list>(message), tools, tool_choice);
  const bool may_call =
      !asked.messages.front().tools.empty() && asked.format.tool_choice != ToolChoice::kNone;
  if (may_call && !form.grammar.empty()) {
    refuse_argument(
        "grammar",
        "tools give the answer a form, and grammar another: leave one of them out, or set tool_choice "
        "to \"none\"");
  }
  return self.ask(asked, form);
}

void bind_talking(nb::class_<ConversationHandle>& conversation) {
  conversation
      .def(
          "ask",
          [](const ConversationHandle& self, const MessageOrList& message, std::int64_t max_tokens,
             double temperature, std::uint32_t seed, const std::vector<std::string>& stop, int top_k,
             double top_p, double min_p, double repeat_penalty, const std::string& grammar,
             const nb::object& tools, const nb::object& tool_choice) {
            return ask(self, message, tools, tool_choice,
                       answer_options({.max_tokens = max_tokens,
                                       .temperature = temperature,
                                       .top_k = top_k,
                                       .top_p = top_p,
                                       .min_p = min_p,
                                       .repeat_penalty = repeat_penalty,
                                       .seed = seed,
                                       .stop = stop,
                                       .grammar = grammar},
                                      self.model()));
          },
          nb::arg("message"), nb::kw_only(), nb::arg("max_tokens") = 512, nb::arg("temperature") = 0.0,
          nb::arg("seed") = 1, nb::arg("stop") = std::vector<std::string>{}, nb::arg("top_k") = 40,
          nb::arg("top_p") = 0.95, nb::arg("min_p") = 0.05, nb::arg("repeat_penalty") = 1.0,
          nb::arg("grammar") = "", nb::arg("tools") = nb::none(), nb::arg("tool_choice") = nb::none(),
          nb::sig("def ask(self, message: str | list[dict[str, typing.Any]], *, max_tokens: int = 512, "
                  "temperature: float = 0.0, seed: int = 1, stop: collections.abc.Sequence[str] = ..., "
                  "top_k: int = 40, top_p: float = 0.95, min_p: float = 0.05, repeat_penalty: float = 1.0, "
                  "grammar: str = \"\", tools: list[dict[str, typing.Any]] | None = None, "
                  "tool_choice: str | dict[str, typing.Any] | None = None) -> Answer"),
          R"(Says something, and returns the answer, which is made while it is read.

Parameters
----------
message
    What the user says. Or a whole list of messages (dicts with ``role`` and ``content``, as OpenAI's interface has them),
    as a program has it that keeps its own history: what was seen of it is not decoded again, and where it departs from
    that the cache goes back.
max_tokens, temperature, seed, stop, top_k, top_p, min_p, repeat_penalty, grammar
    As in `Session.generate`.
tools
    With a list of messages: the functions that the answer may call, as OpenAI's interface has them. `Answer.message` has
    the calls; their results are messages of the role ``tool``.
tool_choice
    "auto" (None, too), "none", "required", or ``{"type": "function", "function": {"name": ...}}``.

Notes
-----
An answer that is left half way stays as far as it was made. The next question ends one that goes on still.)")
      .def(
          "reset",
          [](const ConversationHandle& self) {
            self.on_worker([](ChatState& state) { state.settled().reset(); });
          },
          "Forgets all turns; the system prompt stays.")
      .def(
          "save",
          [](const ConversationHandle& self, const std::filesystem::path& path) {
            self.on_worker([&](ChatState& state) { state.settled().save(path); });
          },
          nb::arg("path"), nb::sig("def save(self, path: str | os.PathLike[str]) -> None"),
          "Writes everything to the file ``path`` in one step; ``kvevict chat --load`` reads it, too.")
      .def(
          "load",
          [](const ConversationHandle& self, const std::filesystem::path& path) {
            self.on_worker([&](ChatState& state) { state.settled().load(path); });
          },
          nb::arg("path"), nb::sig("def load(self, path: str | os.PathLike[str]) -> None"),
          "Goes on with the conversation that was saved at ``path``: its system prompt, strategy and "
          "positions are taken up. The "
          "running one stays as it is if that fails.");
}

void bind_conversation_facts(nb::class_<ConversationHandle>& conversation) {
  const auto fact = [&](const char* name, auto get, const char* text) {
    conversation.def_prop_ro(
        name,
        [get](const ConversationHandle& self) {
          return self.on_worker([&](ChatState& state) { return get(state.chat); });
        },
        text);
  };
  fact(
      "seen", [](const Conversation& chat) { return chat.session().stats().n_tokens_seen; },
      "Tokens of the conversation that the cache has seen.");
  fact(
      "held", [](const Conversation& chat) { return chat.session().stats().n_tokens_held; },
      "Tokens that it holds, a layer.");
  fact(
      "n_turns", [](const Conversation& chat) { return chat.n_turns(); }, "Questions so far.");
  fact(
      "stats", [](const Conversation& chat) { return chat.stats(); }, "Running figures.");
  fact(
      "strategy", [](const Conversation& chat) { return to_string(chat.session().policy().spec()); },
      "The strategy as text; its sink is the system prompt at least.");
  conversation
      .def(
          "kept",
          [](const ConversationHandle& self) {
            return to_pairs(self.on_worker([](ChatState& state) { return state.chat.session().held(); }));
          },
          nb::sig("def kept(self) -> list[tuple[int, int]]"),
          "Original indices of the tokens in the cache, as sorted half-open ranges (begin, end).")
      .def(
          "kept_text",
          [](const ConversationHandle& self) {
            return to_str(self.on_worker([](ChatState& state) { return state.chat.kept_text(); }));
          },
          "The conversation as text; what was evicted stands between '[-' and '-]', long parts shortened.");
}

}  // namespace

void bind_conversations(nb::module_& module, ModelClass& model) {
  nb::class_<ConversationHandle> conversation(
      module, "Conversation",
      R"(A chat of any number of turns in a cache of fixed size: `Model.conversation` makes one.

Every token is decoded once, when it is new. Several threads may use it, one call after the other.)");
  bind_talking(conversation);
  bind_conversation_facts(conversation);
  model.def(
      "conversation",
      [](const ModelHandle& self, const nb::object& strategy, const std::string& system,
         const std::string& chat_template, bool keep_reasoning, const std::optional<std::string>& prefill,
         const std::optional<std::string>& positions, const std::string& kv_type, int threads,
         std::optional<int> chunk, const std::string& flash_attention) {
        return open_conversation(self, strategy, {system, chat_template, keep_reasoning},
                                 {prefill, positions, kv_type, threads, chunk, flash_attention});
      },
      nb::arg("strategy") = "sink_recent", nb::kw_only(), nb::arg("system") = "",
      nb::arg("chat_template") = "", nb::arg("keep_reasoning") = false, nb::arg("prefill") = nb::none(),
      nb::arg("positions") = nb::none(), nb::arg("kv_type") = "f16", nb::arg("threads") = 0,
      nb::arg("chunk") = nb::none(), nb::arg("flash_attention") = "auto",
      nb::sig(
          "def conversation(self, strategy: str | kvevict.Policy = \"sink_recent\", *, system: str = \"\", "
          "chat_template: str = \"\", keep_reasoning: bool = False, prefill: str | None = None, "
          "positions: str | None = None, kv_type: str = \"f16\", threads: int = 0, chunk: int | None = None, "
          "flash_attention: str = \"auto\") -> Conversation"),
      R"(A chat with this model.

Parameters
----------
strategy
    Which tokens stay; its sink grows to hold the system prompt.
system
    System prompt; empty: what the template has.
chat_template
    Jinja, or the name of a template that llama.cpp knows; empty: the model's own.
keep_reasoning
    Earlier answers stay in the cache with their thoughts, even if the template leaves those out of the history.
prefill, positions, kv_type, threads, chunk, flash_attention
    As in `Model.session`.

Raises
------
NotImplementedError
    A model without a chat template, if none is given.)");
}

}  // namespace kvevict::python

// Answers as iterators. A piece is made when it is asked for.
#include "answers.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <utility>

#include "base/cancellation.h"
#include "engine.h"
#include "messages.h"

namespace kvevict::python {

/// Touched on the worker alone.
struct Answer::State {
  std::shared_ptr<AnswerSteps> steps;
  std::string text{};                    // all so far
  std::size_t n_given = 0;               // bytes of it that were handed out
  std::optional<ChatMessage> message{};  // once it was asked for: its calls keep their ids

  [[nodiscard]] bool has_more() const { return n_given < text.size(); }

  /// Makes tokens until `is_enough`, the end, or a signal.
  template <typename IsEnough>
  void make(const Worker& worker, const IsEnough& is_enough) {
    while (!is_enough() && steps->end() == nullptr && !*worker.cancel()) {
      try {
        text += steps->step();
      } catch (...) {
        if (!is_cancellation_under_way()) throw;
      }
    }
    if (steps->end() != nullptr) text += steps->stop();  // what was held back
  }
};

Answer::Answer(std::shared_ptr<Worker> worker, std::shared_ptr<AnswerSteps> steps)
    : worker_(std::move(worker)), state_(std::make_shared<State>(State{.steps = std::move(steps)})) {}

/// An answer that nobody reads any more ends, on the thread of its context.
Answer::~Answer() {
  if (!state_) return;
  worker_->post([state = std::move(state_)] {
    try {
      (void)state->steps->stop();
    } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is there who could be told
    }
    state->steps.reset();
  });
}

/// Runs `work`. If a signal handler throws, the answer ends, and what `work` took is to be taken again.
void Answer::run_or_stop(const std::function<void()>& work) {
  std::optional<std::size_t> n_given;  // before `work`
  try {
    worker_->run([&] {
      n_given = state_->n_given;
      work();
    });
  } catch (const nb::python_error&) {
    worker_->run([&] {
      state_->n_given = n_given.value_or(state_->n_given);
      state_->text += state_->steps->stop();
    });
    throw;
  }
}

std::optional<std::string> Answer::next() {
  std::optional<std::string> piece;
  run_or_stop([&] {
    state_->make(*worker_, [&] { return state_->has_more(); });
    if (!state_->has_more()) return;
    piece = state_->text.substr(state_->n_given);
    state_->n_given = state_->text.size();
  });
  return piece;
}

std::string Answer::text() {
  std::string all;
  run_or_stop([&] {
    state_->make(*worker_, [] { return false; });
    all = state_->text;
    state_->n_given = all.size();
  });
  return all;
}

ChatMessage Answer::message() {
  (void)text();
  return worker_->result_of([&] {
    if (!state_->message) {
      AnswerReader reader(state_->steps->format());
      (void)reader.add(state_->text);
      (void)reader.finish();
      state_->message = reader.message();
    }
    return *state_->message;
  });
}

void Answer::stop() {
  worker_->run([&] { state_->text += state_->steps->stop(); });
}

std::optional<std::string> Answer::end() const {
  const char* end = nullptr;
  worker_->run([&] { end = state_->steps->end(); });
  return end == nullptr ? std::nullopt : std::optional<std::string>(end);
}

std::vector<Token> Answer::tokens() const {
  std::vector<Token> tokens;
  worker_->run([&] { tokens = state_->steps->tokens(); });
  return tokens;
}

namespace {

nb::str next_piece(Answer& self) {
  const std::optional<std::string> piece = self.next();
  if (!piece) throw nb::stop_iteration();
  return to_str(*piece);
}

}  // namespace

void bind_answers(nb::module_& module) {
  nb::class_<Answer>(module, "Answer", R"(An answer while it is made: an iterator over its pieces of text.

A piece is what a token completes: one or more characters, thoughts and calls of functions as the model writes them. It is made when it is asked for, with the GIL released. Several
threads may take pieces of one answer; each piece comes once. Ctrl-C (KeyboardInterrupt) while one is made ends the answer; what came of it
stays, in the cache and here. So does dropping it: leaving a loop by ``break`` is enough.)")
      .def(
          "__iter__", [](const nb::object& self) { return self; }, nb::sig("def __iter__(self) -> Answer"))
      .def("__next__", &next_piece)
      .def(
          "text", [](Answer& self) { return to_str(self.text()); },
          "All of the answer as one text, pieces that were taken included; makes what is left of it first.")
      .def(
          "message", [](Answer& self) { return to_dict(self.message()); },
          nb::sig("def message(self) -> dict[str, typing.Any]"),
          R"(All of the answer as a message of OpenAI's interface, which a history takes as it is.

``content`` is its text without thoughts and calls. ``reasoning_content`` has the thoughts of a model that thinks, and
``tool_calls`` what it calls: each with an ``id``, and a ``function`` with ``name`` and ``arguments`` (JSON).)")
      .def("stop", &Answer::stop, "Ends the answer where it is.")
      .def_prop_ro("end", &Answer::end,
                   "Why it ended: 'model' (by itself, or a text of ``stop`` came), 'length' (``max_tokens``) "
                   "or 'stopped'; "
                   "None while it goes on.")
      .def_prop_ro("tokens", &Answer::tokens,
                   "Its tokens so far, those of a text of ``stop`` included, without one that ends it.");
}

}  // namespace kvevict::python

#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <variant>

#include "engine.h"
#include "kvevict/error.h"
#include "kvevict/session_file.h"
#include "options.h"
#include "session_state.h"
#include "state_handle.h"

namespace kvevict::python {
namespace {

using TextOrTokens = std::variant<std::string, std::vector<Token>>;

/// What `kvevict.llama.Session` is.
class SessionHandle : public StateHandle<SessionState> {
 public:
  using StateHandle::StateHandle;

  /// The tokens of a text where the session is now, or tokens as they are.
  [[nodiscard]] std::vector<Token> tokens_of(const TextOrTokens& given, bool parse_special) const {
    if (const auto* tokens = std::get_if<std::vector<Token>>(&given)) return require_tokens(*model_, *tokens);
    return on_worker([&](SessionState& state) {
      const TextPart part{.text = std::get<std::string>(given), .parse_special = parse_special};
      return model_->tokenize({&part, 1}, state.settled().stats().n_tokens_seen == 0);
    });
  }

  [[nodiscard]] Answer generate(std::span<const Token> prompt, const AnswerOptions& form) const {
    std::shared_ptr<SessionSteps> steps;
    worker_->run([&] { steps = SessionState::begin(state_, prompt, form); });
    return {worker_, steps};
  }

  [[nodiscard]] SessionHandle fork(const std::shared_ptr<const Policy>& policy) const {
    return {model_, worker_, on_worker([&](SessionState& state) { return state.fork(policy); })};
  }
};

SessionHandle open_session(const ModelHandle& self, const nb::object& strategy, const EngineArguments& engine,
                           int n_sequences) {
  const std::shared_ptr<const Policy> policy = make_policy(std::string_view(strategy_text(strategy)));
  auto worker = std::make_shared<Worker>();
  SessionOptions options = session_options(engine, *self.model, *policy, worker->cancel());
  options.n_sequences = n_sequences;
  std::shared_ptr<SessionState> state;
  worker->run(
      [&] { state = std::make_shared<SessionState>(self.model, Session(self.model, policy, options)); });
  return {self.model, worker, state};
}

SessionHandle load_saved(const ModelHandle& self, const std::filesystem::path& path,
                         const EngineArguments& engine) {
  auto worker = std::make_shared<Worker>();
  const std::shared_ptr<const Policy> saved = make_policy(std::string_view(inspect_session(path).strategy));
  const SessionOptions options = session_options(engine, *self.model, *saved, worker->cancel());
  std::shared_ptr<SessionState> state;
  worker->run([&] {
    state = std::make_shared<SessionState>(self.model, load_session(self.model, path, options).session);
  });
  return {self.model, worker, state};
}

nb::list kept(const SessionHandle& self, std::optional<std::int64_t> layer) {
  if (!layer) return to_pairs(self.on_worker([](SessionState& state) { return state.session().held(); }));
  const std::int64_t n_layers = self.model().info().n_cache_layers();
  if (*layer < 0 || *layer >= n_layers) {
    throw nb::index_error(("there is no layer " + std::to_string(*layer) + ": the cache has " +
                           std::to_string(n_layers) + ", counted from 0")
                              .c_str());
  }
  return to_pairs(self.on_worker([&](SessionState& state) {
    return state.session().held_by_layer().layer(static_cast<std::size_t>(*layer));
  }));
}

nb::ndarray<nb::numpy, float, nb::ndim<1>> logits(const SessionHandle& self) {
  auto values = std::make_unique<std::vector<float>>(self.on_worker([](SessionState& state) {
    const std::span<const float> all = state.settled().logits();
    return std::vector<float>(all.begin(), all.end());
  }));
  float* const data = values->data();
  const std::size_t n = values->size();
  const nb::capsule owner(values.release(),
                          [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  return {data, {n}, owner};
}

SessionHandle fork_session(const SessionHandle& self, const nb::object& strategy) {
  if (strategy.is_none()) return self.fork(nullptr);
  return self.fork(make_policy(std::string_view(strategy_text(strategy))));
}

std::int64_t evict(const SessionHandle& self, std::int64_t n_reserve) {
  return self.on_worker(
      [&](SessionState& state) { return state.settled().evict({.n_reserve = n_reserve}).n_removed; });
}

void bind_writing(nb::class_<SessionHandle>& session) {
  session
      .def(
          "append",
          [](const SessionHandle& self, const TextOrTokens& text, bool parse_special) {
            const std::vector<Token> tokens = self.tokens_of(text, parse_special);
            self.on_worker([&](SessionState& state) { state.append(tokens); });
          },
          nb::arg("text"), nb::kw_only(), nb::arg("parse_special") = false,
          R"(Takes text in behind what was seen.

Parameters
----------
text
    A text, or tokens. With ``prefill="bounded"`` no more than budget + chunk tokens are ever held.
parse_special
    Control tokens that the text writes out (``<|im_start|>``) are read as such.

Raises
------
KeyboardInterrupt
    What went in before Ctrl-C stays in.)")
      .def(
          "generate",
          [](const SessionHandle& self, const std::optional<TextOrTokens>& prompt, std::int64_t max_tokens,
             double temperature, std::uint32_t seed, const std::vector<std::string>& stop, int top_k,
             double top_p, double min_p, double repeat_penalty, const std::string& grammar,
             bool parse_special) {
            const AnswerOptions form = answer_options({.max_tokens = max_tokens,
                                                       .temperature = temperature,
                                                       .top_k = top_k,
                                                       .top_p = top_p,
                                                       .min_p = min_p,
                                                       .repeat_penalty = repeat_penalty,
                                                       .seed = seed,
                                                       .stop = stop,
                                                       .grammar = grammar},
                                                      self.model());
            std::vector<Token> tokens;
            if (prompt) tokens = self.tokens_of(*prompt, parse_special);
            return self.generate(tokens, form);
          },
          nb::arg("prompt") = nb::none(), nb::kw_only(), nb::arg("max_tokens") = 128,
          nb::arg("temperature") = 0.0, nb::arg("seed") = 1, nb::arg("stop") = std::vector<std::string>{},
          nb::arg("top_k") = 40, nb::arg("top_p") = 0.95, nb::arg("min_p") = 0.05,
          nb::arg("repeat_penalty") = 1.0, nb::arg("grammar") = "", nb::arg("parse_special") = false,
          R"(Goes on from what was seen.

The prompt is taken in at once; then each step of the iterator makes a token. The next change of the session ends an
answer that goes on still. All tokens of an answer are in the cache when the next call needs them.

Parameters
----------
prompt
    Text or tokens in front of the answer; None: the answer goes on from what was appended. With ``prefill="full"`` it goes
    in whole and the cache is evicted once, before its last token.
max_tokens
    Most tokens of the answer.
temperature
    0: the most probable token each time.
seed
    Of what is drawn: the same seed, text and options give the same answer.
stop
    Texts that end the answer where one begins.
top_k, top_p, min_p, repeat_penalty
    llama.cpp's samplers; all but the last have no effect at temperature 0.
grammar
    The form of the answer in llama.cpp's GBNF; empty: any.
parse_special
    As in `append`.)")
      .def("evict", &evict, nb::kw_only(), nb::arg("n_reserve") = 0,
           "Evicts by the strategy now, and gives memory back but for ``n_reserve`` more tokens. The tokens "
           "removed, a "
           "layer.")
      .def(
          "trim",
          [](const SessionHandle& self, std::int64_t n_tokens) {
            self.on_worker([&](SessionState& state) { state.settled().trim(n_tokens); });
          },
          nb::arg("n_tokens"),
          "Forgets the tokens from index ``n_tokens`` on. ValueError if the token before is gone. Append "
          "before the next "
          "answer.")
      .def(
          "clear",
          [](const SessionHandle& self) {
            self.on_worker([](SessionState& state) { state.emptied().clear(); });
          },
          "Forgets every token; the memory stays allocated.")
      .def("fork", &fork_session, nb::arg("strategy") = nb::none(),
           nb::sig("def fork(self, strategy: str | kvevict.Policy | None = None) -> Session"),
           R"(Another session that goes on from here, in the same memory until one of them evicts.

``strategy``: decides for the other one from now on. ValueError if the context has ``n_sequences`` sessions already
(`Model.session`).)")
      .def(
          "detach",
          [](const SessionHandle& self, std::int64_t n_reserve) {
            self.on_worker([&](SessionState& state) { state.settled().detach(n_reserve); });
          },
          nb::kw_only(), nb::arg("n_reserve") = 0,
          "Moves a forked session into memory of its own, with room for ``n_reserve`` more tokens.")
      .def(
          "save",
          [](const SessionHandle& self, const std::filesystem::path& path) {
            self.on_worker([&](SessionState& state) { save_session(state.settled(), path); });
          },
          nb::arg("path"), nb::sig("def save(self, path: str | os.PathLike[str]) -> None"),
          "Writes the session to the file ``path`` in one step; `Model.load_session` reads it.");
}

void bind_reading(nb::class_<SessionHandle>& session) {
  const auto fact = [&](const char* name, auto get, const char* text) {
    session.def_prop_ro(
        name,
        [get](const SessionHandle& self) {
          return self.on_worker([&](SessionState& state) { return get(state.session()); });
        },
        text);
  };
  fact(
      "seen", [](const Session& one) { return one.stats().n_tokens_seen; },
      "Tokens that the cache has seen. The last token of an answer goes in with the next call.");
  fact(
      "held", [](const Session& one) { return one.stats().n_tokens_held; }, "Tokens that it holds, a layer.");
  fact(
      "stats", [](const Session& one) { return one.stats(); }, "Running figures.");
  fact(
      "strategy", [](const Session& one) { return to_string(one.policy().spec()); }, "The strategy as text.");
  fact(
      "positions",
      [](const Session& one) {
        return std::string(to_string(one.options().positions.value_or(PositionMode::kAbsolute)));
      },
      "'absolute', 'packed' or 'auto'.");
  fact(
      "prefill", [](const Session& one) { return std::string(to_string(one.options().prefill)); },
      "'full' or 'bounded'.");
  session
      .def("kept", &kept, nb::arg("layer") = nb::none(),
           nb::sig("def kept(self, layer: int | None = None) -> list[tuple[int, int]]"),
           "Original indices of the tokens in the cache, as sorted half-open ranges (begin, end); without a "
           "layer, of those "
           "that any layer holds.")
      .def_prop_ro("logits", &logits, nb::rv_policy::automatic,
                   nb::sig("def logits(self) -> numpy.typing.NDArray[numpy.float32]"),
                   "What the next token is drawn from: a copy, float32 of shape [n_vocab]; [0] if nothing "
                   "was appended.")
      .def("__repr__", [](const SessionHandle& self) {
        return self.on_worker([](SessionState& state) {
          const SessionStats stats = state.session().stats();
          return "Session(\"" + to_string(state.session().policy().spec()) + "\": holds " +
                 std::to_string(stats.n_tokens_held) + " of " + std::to_string(stats.n_tokens_seen) +
                 " tokens)";
        });
      });
}

void bind_opening(ModelClass& model) {
  model
      .def(
          "session",
          [](const ModelHandle& self, const nb::object& strategy, const std::optional<std::string>& prefill,
             const std::optional<std::string>& positions, const std::string& kv_type, int threads,
             std::optional<int> chunk, const std::string& flash_attention, int n_sequences) {
            return open_session(self, strategy,
                                {prefill, positions, kv_type, threads, chunk, flash_attention}, n_sequences);
          },
          nb::arg("strategy") = "sink_recent", nb::kw_only(), nb::arg("prefill") = nb::none(),
          nb::arg("positions") = nb::none(), nb::arg("kv_type") = "f16", nb::arg("threads") = 0,
          nb::arg("chunk") = nb::none(), nb::arg("flash_attention") = "auto", nb::arg("n_sequences") = 1,
          nb::sig("def session(self, strategy: str | kvevict.Policy = \"sink_recent\", *, prefill: str | "
                  "None = None, "
                  "positions: str | None = None, kv_type: str = \"f16\", threads: int = 0, chunk: int | None "
                  "= None, "
                  "flash_attention: str = \"auto\", n_sequences: int = 1) -> Session"),
          R"(A sequence of tokens in a cache of this model. Memory is taken as it is needed.

Parameters
----------
strategy
    Which tokens stay: ``"sink_recent:4:1020"``, a `kvevict.Policy`; `kvevict.policies` lists the names.
prefill
    ``"bounded"``: text goes in by chunks and the cache is kept to its budget all along. ``"full"``: all of it goes in,
    then one eviction. None: bounded where the strategy has a bound.
positions
    Of kept tokens: ``"absolute"``, ``"packed"`` or ``"auto"``. None: auto with a bounded prefill if the model's positions
    can be shifted, else absolute.
kv_type
    Element type of K and V: f32, f16, bf16, q8_0, q4_0.
threads
    0: one for each core, fewer while other programs use processors, or ``$OMP_NUM_THREADS``.
chunk
    Tokens between two evictions of a bounded prefill; None: 512, or less for a model of short contexts.
flash_attention
    ``"auto"``, ``"on"`` or ``"off"``.
n_sequences
    Sessions that may share its memory by `Session.fork`, up to 256.)")
      .def(
          "load_session",
          [](const ModelHandle& self, const std::filesystem::path& path,
             const std::optional<std::string>& prefill, const std::string& kv_type, int threads,
             std::optional<int> chunk, const std::string& flash_attention) {
            return load_saved(self, path, {prefill, std::nullopt, kv_type, threads, chunk, flash_attention});
          },
          nb::arg("path"), nb::kw_only(), nb::arg("prefill") = nb::none(), nb::arg("kv_type") = "f16",
          nb::arg("threads") = 0, nb::arg("chunk") = nb::none(), nb::arg("flash_attention") = "auto",
          nb::sig("def load_session(self, path: str | os.PathLike[str], *, prefill: str | None = None, "
                  "kv_type: str = \"f16\", threads: int = 0, chunk: int | None = None, "
                  "flash_attention: str = \"auto\") -> Session"),
          R"(The session that `Session.save` wrote: with its strategy, what that remembered, and its positions.

Parameters
----------
path
    The file.
prefill, kv_type, threads, chunk, flash_attention
    As in `Model.session`.

Raises
------
ValueError
    A file that is no saved session or is damaged; one of another model, llama.cpp or ``kv_type``.)");
}

}  // namespace

void bind_stats(nb::module_& module) {
  nb::class_<SessionStats>(module, "Stats",
                           "Running figures. Tokens and cells are per layer; bytes are of K and V rows.")
      .def_ro("n_tokens_seen", &SessionStats::n_tokens_seen, "Tokens that the cache has seen.")
      .def_ro("n_tokens_held", &SessionStats::n_tokens_held, "Tokens in the cache now.")
      .def_ro("n_tokens_held_peak", &SessionStats::n_tokens_held_peak, "Most at any time.")
      .def_ro("n_cells", &SessionStats::n_cells, "Cells allocated now; llama.cpp pads to 256.")
      .def_ro("kv_bytes", &SessionStats::kv_bytes, "Bytes allocated now.")
      .def_ro("kv_bytes_peak", &SessionStats::kv_bytes_peak, "Most at any time, copies in flight included.")
      .def_ro("n_evictions", &SessionStats::n_evictions, "Plans that dropped tokens.")
      .def_ro("n_packs", &SessionStats::n_packs, "Times that positions were packed.")
      .def_ro("n_decoded_tokens", &SessionStats::n_decoded_tokens, "Tokens that llama.cpp decoded.")
      .def_ro("n_threads", &SessionStats::n_threads,
              "Threads that decode a token at a time now; 0 before any.");
}

void bind_sessions(nb::module_& module, ModelClass& model) {
  nb::class_<SessionHandle> session(module, "Session",
                                    R"(A sequence of tokens in a cache: `Model.session` makes one.

Several threads may use it, one call after the other. Long calls release the GIL, and Ctrl-C ends them.)");
  bind_writing(session);
  bind_reading(session);
  bind_opening(model);
}

}  // namespace kvevict::python

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "engine.h"
#include "http/http_server.h"
#include "kvevict/error.h"
#include "kvevict/memory.h"
#include "served_run.h"
#include "serving/conversation_pool.h"
#include "serving/conversation_store.h"
#include "worker.h"

namespace kvevict::python {
namespace {

constexpr int kMostParallel = 256, kMostQueue = 1024, kHighestPort = 65535, kLongestDrain = 86400;

void require_range(const char* name, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(name) + " is " + std::to_string(value) + ": a number from " +
                  std::to_string(least) + " to " + std::to_string(most) + " is needed",
              name);
}

struct ServerArguments {
  std::string system;
  std::string host;
  int port = 0;
  int parallel = 0;
  int queue = 0;
  std::vector<std::string> api_keys;
  std::string cors;
  std::optional<std::filesystem::path> store;
  std::string store_limit;
  bool store_shared = false;
};

/// From the server's threads: to whoever listens to the logger, which is stderr by default.
void log_store_error(const Error& error) {
  const nb::gil_scoped_acquire held;
  try {
    nb::module_::import_("logging")
        .attr("getLogger")("kvevict.llama")
        .attr("warning")("the store: %s", error.what());
  } catch (nb::python_error& failed) {
    failed.discard_as_unraisable("kvevict.llama.Server");
  }
}

/// What `kvevict.llama.Server` is.
class ServerHandle {
 public:
  ServerHandle(ServedRuns runs, ServerArguments arguments, AnswerOptions answer, bool has_seed)
      : runs_(std::move(runs)),
        arguments_(std::move(arguments)),
        answer_(std::move(answer)),
        has_seed_(has_seed) {
    require_range("port", arguments_.port, 0, kHighestPort);
    require_range("parallel", arguments_.parallel, 1, kMostParallel);
    require_range("queue", arguments_.queue, 0, kMostQueue);
    (void)parse_bytes(arguments_.store_limit, "store_limit", "store_limit");
    if (arguments_.store_shared && !arguments_.store)
      throw Error(ErrorCode::kInvalidArgument, "store_shared is True without a folder: store names one",
                  "store_shared");
    (void)runs_.run_for("", arguments_.system);
  }
  ~ServerHandle() {
    const nb::gil_scoped_release released;  // answers end first
    server_.reset();
    pool_.reset();
  }
  ServerHandle(const ServerHandle&) = delete;
  ServerHandle& operator=(const ServerHandle&) = delete;

  void start() {
    worker_.run([&] {
      if (server_) throw Error(ErrorCode::kInvalidArgument, "the server runs already: stop it first");
      auto pool = std::make_unique<serving::ConversationPool>(pool_options());
      server_ = std::make_unique<http::HttpServer>(
          http::HttpOptions{.host = arguments_.host,
                            .port = arguments_.port,
                            .keys = arguments_.api_keys,
                            .cors = arguments_.cors,
                            .n_waiting = static_cast<std::size_t>(arguments_.queue)},
          http::Served{
              .model = runs_.model,
              .pool = pool.get(),
              .strategy = own_strategy(),
              .answer = {.form = answer_, .has_seed = has_seed_, .n_vocab = runs_.model->info().n_vocab}});
      pool_ = std::move(pool);
    });
  }

  void stop(int drain_seconds) {
    require_range("drain_seconds", drain_seconds, 0, kLongestDrain);
    worker_.run([&] {
      if (server_) server_->stop(std::chrono::seconds(drain_seconds));
      server_.reset();
      pool_.reset();
    });
  }

  [[nodiscard]] std::optional<int> port() {
    return worker_.result_of([&] { return server_ ? std::optional<int>(server_->port()) : std::nullopt; });
  }

  [[nodiscard]] std::optional<std::string> url() {
    const std::optional<int> taken = port();
    if (!taken) return std::nullopt;
    const bool is_ipv6 = arguments_.host.find(':') != std::string::npos;
    return "http://" + (is_ipv6 ? "[" + arguments_.host + "]" : arguments_.host) + ":" +
           std::to_string(*taken);
  }

 private:
  [[nodiscard]] std::string own_strategy() const {
    return to_string(runs_.run_for("", arguments_.system).policy->spec());
  }

  [[nodiscard]] std::shared_ptr<serving::ConversationStore> open_store() const {
    if (!arguments_.store) return nullptr;
    return std::make_shared<serving::ConversationStore>(serving::StoreOptions{
        .folder = *arguments_.store,
        .n_most_bytes = parse_bytes(arguments_.store_limit, "store_limit", "store_limit"),
        .model_sha256 = runs_.model->sha256(),
        .is_shared = arguments_.store_shared});
  }

  [[nodiscard]] serving::PoolOptions pool_options() const {
    const ModelRun own = runs_.run_for("", arguments_.system);
    serving::PlaceOptions places{.session =
                                     session_options(runs_.engine, *runs_.model, *own.policy, nullptr)};
    if (!own.policy->score_request()) places.n_cells = serving::cells_of_place(own);
    return {
        .model = runs_.model,
        .run_for = [runs = runs_](const std::string& strategy,
                                  const std::string& system) { return runs.run_for(strategy, system); },
        .text_run_for = [runs = runs_](const std::string& strategy) { return runs.text_run_for(strategy); },
        .system = arguments_.system,
        .n_live = static_cast<std::size_t>(arguments_.parallel),
        .places = places,
        .store = open_store(),
        .on_store_error = log_store_error};
  }

  ServedRuns runs_;
  ServerArguments arguments_;
  AnswerOptions answer_;
  bool has_seed_;
  Worker worker_;
  std::unique_ptr<serving::ConversationPool> pool_;
  std::unique_ptr<http::HttpServer> server_;  // uses the pool
};

void make_server(ServerHandle* self, const ModelHandle& model, const nb::object& strategy,
                 const std::string& system, const std::string& host, int port, int parallel, int queue,
                 const std::vector<std::string>& api_keys, const std::string& cors, std::int64_t max_tokens,
                 double temperature, std::optional<std::uint32_t> seed,
                 const std::optional<std::string>& positions, const std::string& kv_type, int threads,
                 std::optional<int> chunk, const std::string& flash_attention,
                 const std::optional<std::filesystem::path>& store, const std::string& store_limit,
                 bool store_shared) {
  const SamplingOptions usual;
  AnswerOptions answer = answer_options({.max_tokens = max_tokens,
                                         .temperature = temperature,
                                         .top_k = usual.top_k,
                                         .top_p = usual.top_p,
                                         .min_p = usual.min_p,
                                         .repeat_penalty = usual.repeat_penalty,
                                         .seed = seed.value_or(usual.seed),
                                         .stop = {},
                                         .grammar = {}},
                                        *model.model);
  new (self) ServerHandle({.model = model.model,
                           .strategy = strategy_text(strategy),
                           .engine = {"bounded", positions, kv_type, threads, chunk, flash_attention},
                           .is_stored = store.has_value()},
                          {.system = system,
                           .host = host,
                           .port = port,
                           .parallel = parallel,
                           .queue = queue,
                           .api_keys = api_keys,
                           .cors = cors,
                           .store = store,
                           .store_limit = store_limit,
                           .store_shared = store_shared},
                          std::move(answer), seed.has_value());
}

}  // namespace

void bind_servers(nb::module_& module) {
  nb::class_<ServerHandle>(module, "Server",
                           R"(OpenAI's interface over HTTP, on threads of its own; a context manager.

What ``kvevict serve`` does (docs/serving.md), for conversations of any length in caches of fixed size.

Parameters
----------
model
    What answers.
strategy
    Which tokens of a conversation stay; it needs a bound. Its sink grows to hold the system prompt.
system
    System prompt of conversations that bring none.
host, port
    Address to listen on; ``127.0.0.1``: this machine alone. Port 0: any that is free.
parallel
    Conversations that stay in memory, and answers at once, 1 to 256.
queue
    Requests that may wait, up to 1024.
api_keys
    Keys that clients must show; empty: everybody may ask.
cors
    Web pages of this origin may ask; empty: none.
max_tokens, temperature
    Of answers whose requests do not say them.
seed
    None: each answer has a random one.
positions, kv_type, threads, chunk, flash_attention
    As in `Model.session`.
store
    Folder in which conversations rest behind every answer: they go on in another server, after this one. None: memory
    alone. Errors of the folder while the server runs go to the logger ``kvevict.llama``, and answers come all the same.
store_limit
    Most bytes of that folder, ``"20GiB"``; conversations that were used longest ago go.
store_shared
    Other servers use the folder, too: each must say so.

Raises
------
ValueError
    A value that cannot be. From `start`, too: a store of another model.
OSError
    From `start`: it cannot listen there, or another server has the store.)")
      .def("__init__", &make_server, nb::arg("model"), nb::kw_only(), nb::arg("strategy") = "sink_recent",
           nb::arg("system") = "", nb::arg("host") = "127.0.0.1", nb::arg("port") = 8080,
           nb::arg("parallel") = 4, nb::arg("queue") = 32, nb::arg("api_keys") = std::vector<std::string>{},
           nb::arg("cors") = "", nb::arg("max_tokens") = 512, nb::arg("temperature") = 0.0,
           nb::arg("seed") = nb::none(), nb::arg("positions") = nb::none(), nb::arg("kv_type") = "f16",
           nb::arg("threads") = 0, nb::arg("chunk") = nb::none(), nb::arg("flash_attention") = "auto",
           nb::arg("store") = nb::none(), nb::arg("store_limit") = "20GiB", nb::arg("store_shared") = false,
           nb::sig("def __init__(self, model: Model, *, strategy: str | kvevict.Policy = \"sink_recent\", "
                   "system: str = \"\", host: str = \"127.0.0.1\", port: int = 8080, parallel: int = 4, "
                   "queue: int = 32, "
                   "api_keys: collections.abc.Sequence[str] = ..., cors: str = \"\", max_tokens: int = 512, "
                   "temperature: float = 0.0, seed: int | None = None, positions: str | None = None, "
                   "kv_type: str = \"f16\", threads: int = 0, chunk: int | None = None, flash_attention: str "
                   "= \"auto\", store: str | os.PathLike[str] | None = None, store_limit: str = \"20GiB\", "
                   "store_shared: bool = False) "
                   "-> None"))
      .def("start", &ServerHandle::start, "Listens, and takes requests from now on.")
      .def("stop", &ServerHandle::stop, nb::kw_only(), nb::arg("drain_seconds") = 0,
           "Takes no more requests, lets answers end for at most ``drain_seconds``, stops them, and ends.")
      .def_prop_ro("port", &ServerHandle::port, "The port that it listens on; None while it does not run.")
      .def_prop_ro("url", &ServerHandle::url,
                   "Where it is found, 'http://127.0.0.1:8080'; None while it does not run.")
      .def(
          "__enter__",
          [](const nb::object& self) {
            nb::cast<ServerHandle&>(self).start();
            return self;
          },
          nb::sig("def __enter__(self) -> Server"))
      .def(
          "__exit__", [](ServerHandle& self, const nb::args&) { self.stop(0); },
          nb::sig("def __exit__(self, *error: object) -> None"));
}

}  // namespace kvevict::python

// kvevict rpc-worker: lends this machine's devices to runs elsewhere (--rpc).
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>

#include "cli/flags.h"
#include "cli/subcommands.h"
#include "kvevict/engine_info.h"

namespace kvevict::cli {

void add_rpc_worker(CLI::App& app) {
  auto options = std::make_shared<RpcWorkerOptions>();
  CLI::App* command = app.add_subcommand(
      "rpc-worker",
      "Lend this machine's devices to runs with --rpc host:port (no authentication: trusted networks only)");
  add_option(*command, "host", options->host, "Address to listen on (127.0.0.1: this machine alone)")
      ->option_text("ADDRESS");
  add_count(*command, "port", options->port, "Port (50052)");
  add_count(*command, "threads", options->n_threads,
            "Threads of the CPU (0: one for each core that this process may use)");
  add_option(*command, "devices", options->devices, "Devices to lend (the GPUs, or the CPU without one)")
      ->delimiter(',')
      ->option_text("NAME,...");
  add_option(*command, "cache", options->cache_folder, "Folder that keeps weights between runs")
      ->option_text("DIR");
  command->callback([options] {
    const bool is_local = options->host.rfind("127.", 0) == 0 || options->host == "localhost";
    if (!is_local)
      spdlog::warn("whoever reaches {}:{} can use this worker: there is no authentication", options->host,
                   options->port);
    fmt::print(stderr, "rpc-worker: listening on {}:{}\n", options->host, options->port);
    std::fflush(stderr);
    run_rpc_worker(*options);
  });
}

}  // namespace kvevict::cli

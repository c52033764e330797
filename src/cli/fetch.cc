// kvevict fetch: downloads models and LongBench from the Hugging Face hub.
#include "hub/fetch.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>

#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/subcommands.h"
#include "hub/locations.h"
#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

/// Draws over itself on a terminal; elsewhere a line for every tenth of a file.
class DownloadProgress {
 public:
  void operator()(const std::string& name, std::int64_t n_done, std::int64_t n_total) {
    const std::int64_t percent = n_total > 0 ? 100 * n_done / n_total : 100;
    if (percent / step_ == last_ / step_ && name == name_) return;
    name_ = name;
    last_ = percent;
    constexpr double kMiB = 1 << 20;
    fmt::print(stderr, "{}{}: {} % of {:.1f} MiB{}", is_terminal_ ? "\r\x1b[K" : "", name, percent,
               static_cast<double>(n_total) / kMiB, is_terminal_ && n_done < n_total ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  bool is_terminal_ = isatty(STDERR_FILENO) == 1;
  std::int64_t step_ = is_terminal_ ? 1 : 10;
  std::int64_t last_ = -1;
  std::string name_;
};

void run_fetch(const std::string& what) {
  const InterruptGuard interrupt;
  HubAccess access = HubAccess::from_environment();
  access.http.cancel = interrupt.flag();
  const HubCache cache = HubCache::from_environment();
  DownloadProgress progress;
  const FetchProgress on_progress = [&](const std::string& name, std::int64_t n_done, std::int64_t n_total) {
    progress(name, n_done, n_total);
  };
  if (what == "longbench") {
    const auto names = fetch_longbench(access, cache, longbench_folder(), on_progress);
    fmt::print("{} data sets are in {}\n", names.size(), longbench_folder().string());
    return;
  }
  const auto name = parse_model_name(what);
  if (!name) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("\"{}\" is neither \"longbench\" nor a model of the form org/repo or org/repo:quant",
                    what));
  }
  const FetchedModel fetched = fetch_model(access, cache, *name, on_progress);
  if (!fetched.why_unchecked.empty())
    spdlog::warn("{} is what the cache holds, it may not be the newest: {}", what, fetched.why_unchecked);
  fmt::print("{}\n", fetched.file.string());
}

}  // namespace

void add_fetch(CLI::App& app) {
  auto what = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "fetch",
      "Download LongBench or a model from the Hugging Face hub (HF_ENDPOINT, HF_TOKEN or what "
      "hf auth login wrote, and HF_HOME say where from, as whom and where to; HF_HUB_OFFLINE: not at all)");
  command->add_option("what", *what, "longbench, org/repo or org/repo:quant")
      ->required()
      ->option_text("longbench|MODEL");
  command->callback([what] { run_fetch(*what); });
}

}  // namespace kvevict::cli

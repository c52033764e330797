// kvevict needle: which strategy still finds what is hidden in a text, by its depth and the text's length.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "cli/engine_flags.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/longbench_job.h"
#include "cli/longbench_report.h"
#include "cli/progress.h"
#include "cli/question_flag.h"
#include "cli/strategy_flags.h"
#include "cli/subcommands.h"
#include "cli/table.h"
#include "experiments/needle.h"
#include "experiments/prose.h"
#include "kvevict/error.h"
#include "results/run_json.h"
#include "text/hashes.h"

namespace kvevict::cli {
namespace {

struct NeedleFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  std::vector<std::int64_t> lengths = {512, 1024};
  std::vector<std::int64_t> depths;
  std::string needles = "passkey";
  std::string question = "before";
  std::vector<std::string> texts;
  std::int64_t n_keys = 1;
  std::uint64_t seed = 1;
  std::string output;
};

void require_range(const char* flag, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--{} has {}: {} to {} is needed", flag, value, least, most));
}

std::string needle_table(const eval::NeedleMap& map) {
  std::vector<std::string> header = {"strategy", "tokens"};
  for (const std::int64_t depth : map.depths) header.push_back(fmt::format("{} %", depth));
  Table table(header);
  for (std::size_t s = 0; s < map.strategies.size(); ++s) {
    for (std::size_t l = 0; l < map.lengths.size(); ++l) {
      std::vector<std::string> row = {map.strategies[s], std::to_string(map.lengths[l])};
      for (std::size_t d = 0; d < map.depths.size(); ++d)
        row.push_back(fmt::format("{:.2f}", map.found(s, l, d)));
      table.add(std::move(row));
    }
  }
  return table.text();
}

nlohmann::ordered_json needle_json(const eval::NeedleMap& map, const std::vector<eval::RunInfo>& runs) {
  nlohmann::ordered_json json = {
      {"schema", "kvevict-needle/1"}, {"lengths", map.lengths}, {"depths", map.depths}};
  json["runs"] = nlohmann::ordered_json::array();
  for (std::size_t s = 0; s < map.strategies.size(); ++s) {
    nlohmann::ordered_json cells = nlohmann::ordered_json::array();
    for (const eval::NeedleAnswer& a : map.answers) {
      if (a.strategy != s) continue;
      cells.push_back({{"length", map.lengths[a.length]},
                       {"depth", map.depths[a.depth]},
                       {"prompt_tokens", a.n_prompt_tokens},
                       {"kept_tokens", a.n_kept_tokens},
                       {"subject", a.subject},
                       {"key", a.key},
                       {"prediction", a.prediction},
                       {"found", a.is_found}});
    }
    json["runs"].push_back({{"run", eval::run_json(runs[s])}, {"answers", std::move(cells)}});
  }
  return json;
}

/// What of the flags can change an answer, as the results say it.
std::map<std::string, std::string> configuration(const NeedleFlags& flags, const eval::NeedleJob& job,
                                                 const eval::RunStrategy& strategy) {
  const SessionOptions& session = job.session;
  std::vector<std::string> texts;
  for (const std::string& file : flags.texts) texts.push_back(sha256_of_file(file));
  return {{"needles", flags.needles},
          {"question", flags.question},
          {"texts", fmt::format("{}", fmt::join(texts, ","))},
          {"keys", std::to_string(flags.n_keys)},
          {"needle_seed", std::to_string(flags.seed)},
          {"prefill", std::string(to_string(strategy.prefill))},
          {"positions", std::string(to_string(strategy.positions))},
          {"decode_slack", std::to_string(session.n_decode_slack)},
          {"flash_attention", flags.engine.flash_attention},
          {"kv_type_k", std::string(to_string(session.type_k))},
          {"kv_type_v", std::string(to_string(session.type_v))},
          {"threads", session.n_threads == 0 ? "auto" : std::to_string(session.n_threads)}};
}

eval::RunInfo describe(const NeedleFlags& flags, const eval::NeedleJob& job,
                       const eval::RunStrategy& strategy) {
  eval::RunInfo info = describe_run(*job.model, *strategy.policy);
  if (job.question == eval::QuestionOrder::kAfter) info.name += kQuestionAfterSuffix;
  info.configuration = configuration(flags, job, strategy);
  info.status = "complete";
  info.model_sha256 = job.model->sha256();
  return info;
}

void run_needle_command(const NeedleFlags& flags) {
  if (flags.engine.dry_run) {
    throw Error(ErrorCode::kInvalidArgument,
                "--dry_run has nothing to show here: needle has to run the model");
  }
  const eval::NeedleKind& kind = eval::needle_kind(flags.needles);
  const std::vector<std::int64_t>& depths = flags.depths.empty() ? kind.depths : flags.depths;
  for (const std::int64_t length : flags.lengths) require_range("lengths", length, 64, 1'000'000);
  for (const std::int64_t depth : depths) require_range("depths", depth, 0, 100);
  require_range("keys", flags.n_keys, 1, 1000);
  const std::vector<ChosenStrategy> chosen = flags.strategy.chosen("full");
  if (!flags.output.empty()) require_writable(flags.output);
  std::vector<std::vector<std::string>> texts;
  for (const std::string& file : flags.texts) texts.push_back(eval::read_prose(file));
  const InterruptGuard interrupt;
  eval::NeedleJob job{.model = flags.engine.load_model(),
                      .strategies = {},
                      .session = flags.engine.session_options(),
                      .kind = &kind,
                      .question = question_order(flags.question),
                      .texts = std::move(texts),
                      .lengths = flags.lengths,
                      .depths = depths,
                      .n_keys = flags.n_keys,
                      .seed = flags.seed};
  job.session.cancel = interrupt.flag();
  std::vector<eval::RunInfo> runs;
  for (const ChosenStrategy& strategy : chosen) {
    job.strategies.push_back(make_strategy(flags.engine, strategy, *job.model));
    runs.push_back(describe(flags, job, job.strategies.back()));
  }
  Progress progress(job.n_cases());
  const eval::NeedleMap map = eval::run_needle(job, [&](std::int64_t length, std::int64_t depth) {
    progress.step(fmt::format("{} tokens, depth {} %", length, depth));
  });
  if (!flags.output.empty())
    write_file_atomically(
        flags.output,
        needle_json(map, runs).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  fmt::print("{}{}", needle_table(map),
             job.question == eval::QuestionOrder::kAfter ? kQuestionAfterLegend : "");
}

}  // namespace

void add_needle(CLI::App& app) {
  auto flags = std::make_shared<NeedleFlags>();
  CLI::App* command = app.add_subcommand("needle",
                                         "Find a passkey, or codes or birthplaces, at every depth of texts "
                                         "of several lengths, by several strategies");
  flags->strategy.add_to(*command, true);
  add_option(*command, "lengths", flags->lengths, "Tokens of the prompts (512,1024)")
      ->delimiter(',')
      ->check(check_whole_number)
      ->option_text("N,...");
  add_option(*command, "depths", flags->depths,
             "Where needles stand, in percent of the text (passkey: 0,25,50,75,100, one in each text; else "
             "10,35,60,85, all of them in each text)")
      ->delimiter(',')
      ->check(check_whole_number)
      ->option_text("PERCENT,...");
  add_option(
      *command, "needles", flags->needles,
      "What is hidden: a passkey; codes of several places; birthplaces of several persons. One of them "
      "is asked for, each in turn")
      ->option_text("passkey|codes|birthplaces")
      ->capture_default_str();
  add_option(*command, "text", flags->texts,
             "Text file whose prose the needles are hidden in, a passage for each text (a filler sentence, "
             "again and again); can be given several times")
      ->option_text("FILE")
      ->take_all()
      ->allow_extra_args(false);
  add_question(*command, flags->question);
  add_count(*command, "keys", flags->n_keys,
            "Texts for each length, of a passkey for each length and depth (1)");
  add_count(*command, "seed", flags->seed, "Seed of the needles and passages (1)");
  add_option(*command, "output", flags->output, "JSON file for the map")->option_text("FILE");
  flags->engine.add_to(*command);
  command->callback([flags] { run_needle_command(*flags); });
}

}  // namespace kvevict::cli

// Saved sessions: a line with the format's version, a line with the checksum of all that follows, the
// length of a JSON header, the header, and then the bytes whose lengths the header gives.
#include "kvevict/session_file.h"

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "text/hashes.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kMagic = "kvevict session ";
constexpr std::string_view kVersion = "2";
constexpr std::size_t kChecksumDigits = 64;

json to_json(const KeepSet& set) {
  json ranges = json::array();
  for (const TokenRange& range : set.ranges()) ranges.push_back({range.begin, range.end});
  return ranges;
}

KeepSet keep_set_from(const json& value) {
  std::vector<TokenRange> ranges;
  for (const json& range : value) ranges.push_back({range.at(0), range.at(1)});
  return KeepSet::from_ranges(std::move(ranges));
}

/// `set_of_layer` is empty where all layers share the one set.
json to_json(const KeepPlan& plan) {
  json sets = json::array();
  for (const KeepSet& set : plan.distinct_sets()) sets.push_back(to_json(set));
  json set_of_layer = json::array();
  for (std::size_t l = 0; l < plan.n_layers(); ++l) set_of_layer.push_back(plan.set_number(l));
  return {{"sets", sets}, {"set_of_layer", set_of_layer}};
}

KeepPlan keep_plan_from(const json& value) {
  std::vector<KeepSet> sets;
  for (const json& set : value.at("sets")) sets.push_back(keep_set_from(set));
  if (value.at("set_of_layer").empty() && sets.size() == 1) return KeepPlan(std::move(sets.front()));
  return {std::move(sets), value.at("set_of_layer").get<std::vector<std::size_t>>()};
}

json to_json(const LadderRows& ladder) {
  return {{"n_tokens_seen", ladder.n_tokens_seen}, {"cursor", ladder.cursor}, {"kept", to_json(ladder.kept)}};
}

LadderRows ladder_from(const json& value, std::int64_t n_layers) {
  LadderRows ladder{.kept = keep_plan_from(value.at("kept")),
                    .n_tokens_seen = value.at("n_tokens_seen"),
                    .cursor = value.at("cursor")};
  bool is_sound = ladder.n_tokens_seen >= 0 && ladder.cursor >= 0;
  is_sound = is_sound && (ladder.kept.is_shared() || n_layers == 0 ||
                          ladder.kept.n_layers() == static_cast<std::size_t>(n_layers));
  for (const KeepSet& set : ladder.kept.distinct_sets()) {
    is_sound = is_sound && set.end() <= ladder.n_tokens_seen && set.count() == ladder.kept.count();
  }
  if (!is_sound) throw Error(ErrorCode::kBadData, "the rows of its ladder contradict each other");
  return ladder;
}

json to_json(const PolicyState& state) {
  return {{"schedule", state.schedule == Schedule::kStreaming ? "streaming" : "one_shot"},
          {"n_layers", state.n_layers},
          {"frozen_middle", state.frozen_middle ? to_json(*state.frozen_middle) : json()},
          {"ladder", state.ladder ? to_json(*state.ladder) : json()}};
}

PolicyState policy_state_from(const json& value) {
  PolicyState state;
  state.schedule = value.at("schedule") == "streaming" ? Schedule::kStreaming : Schedule::kOneShot;
  state.n_layers = value.at("n_layers");
  const json& middle = value.at("frozen_middle");
  if (!middle.is_null()) state.frozen_middle = keep_set_from(middle);
  const json& ladder = value.at("ladder");
  if (!ladder.is_null()) state.ladder = ladder_from(ladder, state.n_layers);
  return state;
}

json to_json(const std::vector<HeldRun>& list) {
  json runs = json::array();
  for (const HeldRun& run : list) runs.push_back({run.indices.begin, run.indices.end, run.first_position});
  return runs;
}

json to_json(const SamplingOptions& s) {
  return {{"temperature", s.temperature},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"seed", s.seed}};
}

SamplingOptions sampling_from(const json& value) {
  return {.temperature = value.at("temperature"),
          .top_k = value.at("top_k"),
          .top_p = value.at("top_p"),
          .min_p = value.at("min_p"),
          .seed = value.at("seed")};
}

json header_of(const SessionSnapshot& snapshot, const SessionExtras& extras,
               const std::string& model_sha256) {
  json runs = json::array();
  for (const std::vector<HeldRun>& list : snapshot.runs) runs.push_back(to_json(list));
  json shifts = json::array();
  for (const SavedShift& shift : snapshot.waiting_shifts)
    shifts.push_back({shift.begin, shift.end, shift.delta});
  return {{"engine", snapshot.engine_version},
          {"model", snapshot.model_identity},
          {"model_sha256", model_sha256},
          {"kv_type_k", to_string(snapshot.type_k)},
          {"kv_type_v", to_string(snapshot.type_v)},
          {"positions", to_string(snapshot.positions)},
          {"n_tokens_seen", snapshot.n_tokens_seen},
          {"next_position", snapshot.next_position},
          {"runs", runs},
          {"runs_of_layer", snapshot.runs_of_layer},
          {"waiting_shifts", shifts},
          {"policy", snapshot.policy},
          {"policy_state", to_json(snapshot.policy_state)},
          {"sampling", to_json(extras.sampling)},
          {"n_logits", snapshot.logits.size()},
          {"n_cell_bytes", snapshot.cells.size()},
          {"n_application_bytes", extras.application_data.size()}};
}

template <typename T>
T required(std::optional<T> value) {
  if (!value) throw Error(ErrorCode::kBadData, "its header has an unknown value");
  return *value;
}

SessionSnapshot snapshot_from(const json& header) {
  SessionSnapshot snapshot;
  snapshot.engine_version = header.at("engine");
  snapshot.model_identity = header.at("model");
  snapshot.type_k = required(parse_kv_type(header.at("kv_type_k").get<std::string>()));
  snapshot.type_v = required(parse_kv_type(header.at("kv_type_v").get<std::string>()));
  snapshot.positions = required(parse_position_mode(header.at("positions").get<std::string>()));
  snapshot.n_tokens_seen = header.at("n_tokens_seen");
  snapshot.next_position = header.at("next_position");
  for (const json& list : header.at("runs")) {
    auto& runs = snapshot.runs.emplace_back();
    for (const json& run : list) runs.push_back({{run.at(0), run.at(1)}, run.at(2)});
  }
  header.at("runs_of_layer").get_to(snapshot.runs_of_layer);
  for (const json& shift : header.at("waiting_shifts")) {
    snapshot.waiting_shifts.push_back({shift.at(0), shift.at(1), shift.at(2)});
  }
  snapshot.policy = header.at("policy");
  snapshot.policy_state = policy_state_from(header.at("policy_state"));
  return snapshot;
}

/// Takes pieces off the front of a text.
class Pieces {
 public:
  explicit Pieces(std::string_view text) : text_(text) {}

  std::string_view take(std::size_t n_bytes) {
    if (n_bytes > text_.size()) throw Error(ErrorCode::kBadData, "it ends too early");
    const std::string_view piece = text_.substr(0, n_bytes);
    text_.remove_prefix(n_bytes);
    return piece;
  }

  template <typename T>
  std::vector<T> take_values(std::size_t n) {
    if (n > text_.size()) throw Error(ErrorCode::kBadData, "it ends too early");
    std::vector<T> values(n);
    if (n > 0) std::memcpy(values.data(), take(n * sizeof(T)).data(), n * sizeof(T));
    return values;
  }

 private:
  std::string_view text_;
};

template <typename T>
void add_values(std::string& text, const std::vector<T>& values) {
  text.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

std::string read_file(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error))
    throw Error(ErrorCode::kNotFound, "there is no saved session " + path.string());
  if (fs::is_directory(path, error))
    throw Error(ErrorCode::kIo, path.string() + " is a folder, not a saved session");
  std::ifstream file(path, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) throw Error(ErrorCode::kIo, "cannot read " + path.string());
  return content;
}

/// The body of a saved session, its version and checksum verified.
std::string_view checked_body(std::string_view content) {
  if (content.substr(0, kMagic.size()) != kMagic)
    throw Error(ErrorCode::kBadData, "it is not a saved session");
  const std::size_t line_end = content.find('\n');
  const std::string_view version =
      content.substr(kMagic.size(), std::min(line_end, content.size()) - kMagic.size());
  if (version != kVersion) {
    throw Error(ErrorCode::kInvalidArgument, "it is in version \"" + std::string(version.substr(0, 16)) +
                                                 "\" of the format, this program reads version " +
                                                 std::string(kVersion));
  }
  Pieces pieces(content.substr(line_end + 1));
  const std::string_view checksum = pieces.take(kChecksumDigits + 1);
  const std::string_view body = content.substr(line_end + 1 + checksum.size());
  if (sha256_hex(body) != checksum.substr(0, kChecksumDigits)) {
    throw Error(ErrorCode::kBadData, "it is damaged or was cut short: its checksum does not hold");
  }
  return body;
}

}  // namespace

void save_session(Session& session, const fs::path& path, const SessionExtras& extras,
                  std::string model_sha256) {
  require_writable(path);
  if (model_sha256.empty()) model_sha256 = sha256_of_file(session.model().path());
  const SessionSnapshot snapshot = session.snapshot();
  const std::string header = header_of(snapshot, extras, model_sha256).dump();
  std::string body;
  body.reserve(header.size() + snapshot.cells.size() + snapshot.logits.size() * 4 +
               extras.application_data.size() + 8);
  add_values(body, std::vector<std::uint64_t>{header.size()});
  body += header;
  add_values(body, snapshot.logits);
  add_values(body, snapshot.cells);
  body += extras.application_data;
  std::string content = std::string(kMagic) + std::string(kVersion) + "\n" + sha256_hex(body) + "\n";
  content += body;
  body = {};
  write_file_atomically(path, content);
}

LoadedSession load_session(std::shared_ptr<const Model> model, const SessionOptions& options,
                           const fs::path& path, std::string model_sha256) {
  const std::string content = read_file(path);
  try {
    Pieces pieces(checked_body(content));
    const json header = json::parse(pieces.take(pieces.take_values<std::uint64_t>(1).front()));
    SessionSnapshot snapshot = snapshot_from(header);
    if (model_sha256.empty()) model_sha256 = sha256_of_file(model->path());
    if (header.at("model_sha256") != model_sha256) {
      throw Error(ErrorCode::kInvalidArgument, "it was saved for another model file (" +
                                                   snapshot.model_identity + ") than " +
                                                   model->path().string() + ": the checksums differ");
    }
    snapshot.logits = pieces.take_values<float>(header.at("n_logits"));
    snapshot.cells = pieces.take_values<std::uint8_t>(header.at("n_cell_bytes"));
    SessionExtras extras{.sampling = sampling_from(header.at("sampling")), .application_data = {}};
    extras.application_data = std::string(pieces.take(header.at("n_application_bytes")));
    return {Session::restore(std::move(model), options, snapshot), std::move(extras)};
  } catch (const Error& error) {
    throw Error(error.code(), "cannot load " + path.string() + ": " + error.what());
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kBadData,
                "cannot load " + path.string() + ": its header is broken (" + error.what() + ")");
  }
}

SavedSession inspect_session(const fs::path& path) {
  const std::string content = read_file(path);
  try {
    Pieces pieces(checked_body(content));
    const SessionSnapshot snapshot =
        snapshot_from(json::parse(pieces.take(pieces.take_values<std::uint64_t>(1).front())));
    SavedSession saved{.model = snapshot.model_identity,
                       .policy = snapshot.policy,
                       .positions = snapshot.positions,
                       .n_tokens_seen = snapshot.n_tokens_seen,
                       .held = {}};
    std::vector<KeepSet> sets;
    for (const std::vector<HeldRun>& list : snapshot.runs) {
      KeepSet& set = sets.emplace_back();
      for (const HeldRun& run : list) set.append(run.indices.begin, run.indices.end);
    }
    if (sets.empty()) throw Error(ErrorCode::kBadData, "it has no record of its cells");
    saved.held =
        snapshot.runs_of_layer.empty() ? KeepPlan(sets.front()) : KeepPlan(sets, snapshot.runs_of_layer);
    return saved;
  } catch (const Error& error) {
    throw Error(error.code(), "cannot read " + path.string() + ": " + error.what());
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kBadData,
                "cannot read " + path.string() + ": its header is broken (" + error.what() + ")");
  }
}

bool is_session_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string beginning(kMagic.size(), '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return file && beginning == kMagic;
}

}  // namespace kvevict

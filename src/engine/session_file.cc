// Saved sessions. Two parts, each with its checksum, so that the header can be told without reading the rows:
//
//     kvevict session 3\n
//     <SHA-256 of the header>\n  <its length, u64>  <the header, JSON>
//     <the bytes whose lengths the header gives: logits, rows, application data>  <SHA-256 of them>
//
// Written and read as a stream: beside the rows, which llama.cpp hands out and takes in one piece, nothing is
// held twice.
#include "kvevict/session_file.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/atomic_file.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "text/hashes.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kMagic = "kvevict session ";
constexpr std::string_view kVersion = "3";
constexpr std::size_t kChecksumDigits = 64;

json to_json(const std::vector<HeldRun>& list) {
  json runs = json::array();
  for (const HeldRun& run : list) runs.push_back({run.indices.begin, run.indices.end, run.first_position});
  return runs;
}

json to_json(const std::vector<LogitBias>& biases) {
  json pairs = json::array();
  for (const LogitBias& one : biases) pairs.push_back({one.token, one.bias});
  return pairs;
}

std::vector<LogitBias> biases_from(const json& pairs) {
  std::vector<LogitBias> biases;
  for (const json& pair : pairs) biases.push_back({.token = pair.at(0), .bias = pair.at(1)});
  return biases;
}

json to_json(const SamplingOptions& s) {
  return {{"temperature", s.temperature},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"seed", s.seed},
          {"repeat_penalty", s.repeat_penalty},
          {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"ignores_end", s.ignores_end},
          {"logit_bias", to_json(s.logit_bias)}};
}

SamplingOptions sampling_from(const json& value) {
  return {.temperature = value.at("temperature"),
          .top_k = value.at("top_k"),
          .top_p = value.at("top_p"),
          .min_p = value.at("min_p"),
          .seed = value.at("seed"),
          .repeat_penalty = value.value("repeat_penalty", 1.0),  // files from before it was there
          .presence_penalty = value.value("presence_penalty", 0.0),
          .frequency_penalty = value.value("frequency_penalty", 0.0),
          .ignores_end = value.value("ignores_end", false),
          .logit_bias = biases_from(value.value("logit_bias", json::array()))};
}

json header_of(const SessionSnapshot& snapshot, const SessionExtras& extras,
               const std::string& model_sha256) {
  json runs = json::array();
  for (const std::vector<HeldRun>& list : snapshot.runs) runs.push_back(to_json(list));
  json occupied = json::array();
  for (const TokenRange& run : snapshot.occupied) occupied.push_back({run.begin, run.end});
  json shifts = json::array();
  for (const SavedShift& shift : snapshot.waiting_shifts)
    shifts.push_back({shift.begin, shift.end, shift.delta});
  return {
      {"engine", snapshot.engine_version},
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
      {"strategy", snapshot.strategy},
      {"policy", snapshot.policy},
      {"schedule", snapshot.policy_state.schedule == Schedule::kStreaming ? "streaming" : "one_shot"},
      {"policy_memory", snapshot.policy_state.memory ? json(snapshot.policy_state.memory->save()) : json()},
      {"sampling", to_json(extras.sampling)},
      {"n_cells", snapshot.n_cells},
      {"n_outputs", snapshot.n_outputs},
      {"occupied", occupied},
      {"n_logits", snapshot.logits.size()},
      {"n_cell_bytes", snapshot.cells.size()},
      {"n_application_bytes", extras.application_data.size()}};
}

template <typename T>
T required(std::optional<T> value) {
  if (!value) throw Error(ErrorCode::kBadData, "its header has an unknown value");
  return *value;
}

void require_ascending(const std::vector<TokenRange>& runs) {
  std::int64_t end = 0;
  for (const TokenRange& run : runs) {
    if (run.begin < end || run.end <= run.begin)
      throw Error(ErrorCode::kBadData, "its cells are out of order");
    end = run.end;
  }
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
  for (const json& run : header.at("occupied")) snapshot.occupied.push_back({run.at(0), run.at(1)});
  require_ascending(snapshot.occupied);
  snapshot.n_cells = header.at("n_cells");
  snapshot.n_outputs = header.at("n_outputs");
  snapshot.strategy = header.at("strategy");
  snapshot.policy = header.at("policy");
  snapshot.policy_state.schedule =
      header.at("schedule") == "streaming" ? Schedule::kStreaming : Schedule::kOneShot;
  return snapshot;
}

template <typename T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// A saved session that is read from front to back.
class SessionReader {
 public:
  explicit SessionReader(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error))
      throw Error(ErrorCode::kNotFound, "there is no saved session " + path.string());
    if (fs::is_directory(path, error))
      throw Error(ErrorCode::kIo, path.string() + " is a folder, not a saved session");
    n_bytes_ = fs::file_size(path, error);
    file_.open(path, std::ios::binary);
    if (!file_ || error) throw Error(ErrorCode::kIo, "cannot read " + path.string());
  }

  /// The header, its version, length and checksum verified, and the file's length held against it.
  [[nodiscard]] json header() {
    if (take(kMagic.size()) != kMagic) throw Error(ErrorCode::kBadData, "it is not a saved session");
    require_version();
    const std::string checksum = take(kChecksumDigits + 1).substr(0, kChecksumDigits);
    std::uint64_t length = 0;
    read_into({reinterpret_cast<char*>(&length), sizeof length});
    const std::string text = take(length);
    if (sha256_hex(text) != checksum)
      throw Error(ErrorCode::kBadData, "it is damaged: its header's checksum does not hold");
    json header = json::parse(text);
    require_whole(header);
    return header;
  }

  /// The next values of the payload. Errors: kBadData if it ends too early, before anything is allocated.
  template <typename T>
  [[nodiscard]] std::vector<T> take_values(std::size_t n) {
    if (n > n_left() / sizeof(T)) throw Error(ErrorCode::kBadData, "it ends too early");
    std::vector<T> values(n);
    const std::span<char> bytes(reinterpret_cast<char*>(values.data()), n * sizeof(T));
    read_into(bytes);
    payload_.add({bytes.data(), bytes.size()});
    return values;
  }

  /// After the payload: its checksum must hold.
  void require_sound_payload() {
    if (payload_.hex() != take(kChecksumDigits))
      throw Error(ErrorCode::kBadData, "it is damaged: its checksum does not hold");
  }

 private:
  [[nodiscard]] std::uintmax_t n_left() const { return n_bytes_ - n_read_; }

  void read_into(std::span<char> bytes) {
    if (bytes.size() > n_left()) throw Error(ErrorCode::kBadData, "it ends too early");
    file_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file_) throw Error(ErrorCode::kIo, "reading it failed");
    n_read_ += bytes.size();
  }

  [[nodiscard]] std::string take(std::size_t n_bytes) {
    if (n_bytes > n_left()) throw Error(ErrorCode::kBadData, "it ends too early");
    std::string piece(n_bytes, '\0');
    read_into(piece);
    return piece;
  }

  void require_version() {
    std::string version;
    for (std::string c = take(1); c != "\n" && version.size() < 16; c = take(1)) version += c;
    if (version == kVersion) return;
    throw Error(ErrorCode::kInvalidArgument, "it is in version \"" + version +
                                                 "\" of the format, this program reads version " +
                                                 std::string(kVersion));
  }

  void require_whole(const json& header) const {
    const std::uint64_t n_payload = header.at("n_logits").get<std::uint64_t>() * sizeof(float) +
                                    header.at("n_cell_bytes").get<std::uint64_t>() +
                                    header.at("n_application_bytes").get<std::uint64_t>();
    if (n_left() == n_payload + kChecksumDigits) return;
    throw Error(ErrorCode::kBadData, n_left() < n_payload + kChecksumDigits
                                         ? "it was cut short"
                                         : "something follows behind its end");
  }

  std::ifstream file_;
  std::uintmax_t n_bytes_ = 0;
  std::uintmax_t n_read_ = 0;
  Sha256 payload_;
};

/// Runs `read` and puts the file's name and `what` in front of its errors.
template <typename Read>
auto with_name(const char* what, const fs::path& path, Read read) {
  const auto sentence = [&](const std::string& why) {
    return std::string(what) + " " + path.string() + ": " + why;
  };
  try {
    return read();
  } catch (const Error& error) {
    const bool is_named = std::string_view(error.what()).find(path.string()) != std::string_view::npos;
    throw Error(error.code(), is_named ? std::string(error.what()) : sentence(error.what()), error.field());
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kBadData, sentence(std::string("its header is broken (") + error.what() + ")"));
  }
}

void require_model(const json& header, const SessionSnapshot& snapshot, const Model& model,
                   const std::string& model_sha256) {
  if (header.at("model_sha256") == model_sha256) return;
  throw Error(ErrorCode::kInvalidArgument, "it was saved for another model file (" + snapshot.model_identity +
                                               ") than " + model.path().string() + ": the checksums differ");
}

/// The policy that was saved, and in `snapshot` what it remembered.
std::shared_ptr<const Policy> policy_of(const json& header, SessionSnapshot& snapshot,
                                        std::int64_t n_layers) {
  std::shared_ptr<const Policy> policy = make_policy(snapshot.strategy);
  const json& memory = header.at("policy_memory");
  if (!memory.is_null())
    snapshot.policy_state.memory = policy->load_memory(memory.get<std::string>(), n_layers);
  return policy;
}

}  // namespace

void save_session(Session& session, const fs::path& path, const SessionExtras& extras,
                  std::string model_sha256) {
  require_writable(path);
  if (model_sha256.empty()) model_sha256 = session.model().sha256();
  const SessionSnapshot snapshot = session.snapshot();
  const std::string header = header_of(snapshot, extras, model_sha256).dump();
  AtomicFile file(path);
  file.write(std::string(kMagic) + std::string(kVersion) + "\n" + sha256_hex(header) + "\n");
  file.write(bytes_of(std::vector<std::uint64_t>{header.size()}));
  file.write(header);
  Sha256 payload;
  for (const std::string_view part :
       {bytes_of(snapshot.logits), bytes_of(snapshot.cells), std::string_view(extras.application_data)}) {
    payload.add(part);
    file.write(part);
  }
  file.write(payload.hex());
  file.commit();
}

LoadedSession load_session(std::shared_ptr<const Model> model, const fs::path& path, SessionOptions options,
                           std::string model_sha256, SessionPool* pool) {
  return with_name("cannot load", path, [&] {
    SessionReader reader(path);
    const json header = reader.header();
    SessionSnapshot snapshot = snapshot_from(header);
    if (model_sha256.empty()) model_sha256 = model->sha256();
    require_model(header, snapshot, *model, model_sha256);
    std::shared_ptr<const Policy> policy = policy_of(header, snapshot, model->info().n_cache_layers());
    snapshot.logits = reader.take_values<float>(header.at("n_logits"));
    snapshot.cells = reader.take_values<std::uint8_t>(header.at("n_cell_bytes"));
    SessionExtras extras{.sampling = sampling_from(header.at("sampling")), .application_data = {}};
    const std::vector<char> data = reader.take_values<char>(header.at("n_application_bytes"));
    extras.application_data.assign(data.begin(), data.end());
    reader.require_sound_payload();
    if (!options.positions) options.positions = snapshot.positions;
    Session session = pool != nullptr
                          ? pool->restore(std::move(policy), snapshot)
                          : Session::restore(std::move(model), std::move(policy), options, snapshot);
    return LoadedSession{std::move(session), std::move(extras)};
  });
}

SavedSession inspect_session(const fs::path& path) {
  return with_name("cannot read", path, [&] {
    const SessionSnapshot snapshot = snapshot_from(SessionReader(path).header());
    SavedSession saved{.model = snapshot.model_identity,
                       .strategy = snapshot.strategy,
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
  });
}

bool is_session_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string beginning(kMagic.size(), '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return file && beginning == kMagic;
}

}  // namespace kvevict

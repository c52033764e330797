#include "results/results_identity.h"

#include <algorithm>

#include "text/hashes.h"

namespace kvevict::eval {
namespace {

/// Settings that say where something is, not what is computed.
bool is_incidental(const std::string& setting) {
  return setting == "data_dir";
}

std::map<std::string, std::string> data_identity(const Results& results) {
  std::map<std::string, std::string> identity;
  for (const RunResult& run : results.runs) {
    const std::string number = std::to_string(identity.size() + 1);
    identity["run " + number] = run.info.name;
  }
  for (const DataInfo& data : results.data) {
    std::string ids;
    for (const std::string& id : data.ids) ids += id + "\n";
    identity["data." + data.dataset + ".sha256"] = data.sha256;
    identity["data." + data.dataset + ".examples"] = std::to_string(data.ids.size());
    identity["data." + data.dataset + ".ids"] = sha256_hex(ids);
  }
  return identity;
}

}  // namespace

std::map<std::string, std::string> run_identity(const RunInfo& info) {
  std::map<std::string, std::string> identity = {{"strategy", info.name},
                                                 {"policy", info.policy},
                                                 {"model.sha256", info.model_sha256},
                                                 {"model.bytes", std::to_string(info.model_bytes)}};
  for (const auto& [key, value] : info.strategy_values) identity["strategy." + key] = std::to_string(value);
  for (const auto& [key, value] : info.configuration) {
    if (!is_incidental(key)) identity["configuration." + key] = value;
  }
  identity.emplace("configuration.question", "before");  // files of versions that knew no other order
  for (const auto& [key, value] : info.versions) identity["versions." + key] = value;
  return identity;
}

std::optional<std::string> first_difference(const std::map<std::string, std::string>& there,
                                            const std::map<std::string, std::string>& here,
                                            const std::set<std::string>& ignored) {
  std::set<std::string> keys;
  for (const auto& item : there) keys.insert(item.first);
  for (const auto& item : here) keys.insert(item.first);
  const auto value_in = [](const auto& map, const std::string& key) {
    const auto found = map.find(key);
    return found == map.end() ? std::string("not given") : found->second;
  };
  for (const std::string& key : keys) {
    const std::string a = value_in(there, key);
    const std::string b = value_in(here, key);
    if (a != b && !ignored.contains(key)) return key + " is " + a + " there and " + b + " here";
  }
  return std::nullopt;
}

std::optional<std::string> first_difference(const Results& there, const Results& here,
                                            const std::set<std::string>& ignored) {
  if (auto difference = first_difference(data_identity(there), data_identity(here), ignored))
    return difference;
  for (std::size_t i = 0; i < here.runs.size(); ++i) {
    auto difference =
        first_difference(run_identity(there.runs[i].info), run_identity(here.runs[i].info), ignored);
    if (difference) return difference;
  }
  return std::nullopt;
}

void add_part(RunInfo& into, const RunInfo& other) {
  into.seconds_total += other.seconds_total;
  into.started_utc = std::min(into.started_utc, other.started_utc);
  for (auto& [key, value] : into.machine) {
    const auto found = other.machine.find(key);
    if (found == other.machine.end() || found->second != value) value = "several";
  }
}

}  // namespace kvevict::eval

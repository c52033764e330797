#include "cli/serve_flags.h"

#include <fmt/format.h>

#include <sstream>

#include "base/environment.h"
#include "cli/flags.h"
#include "cli/model_run.h"
#include "kvevict/error.h"
#include "kvevict/memory.h"

namespace kvevict::cli {
namespace {

constexpr int kMostLive = 256, kMostWaiting = 1024, kLongestDrain = 86400;

void require_range(const char* flag, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--{} is {}: a number from {} to {} is needed", flag, value, least, most));
}

}  // namespace

void ServeFlags::add_to(CLI::App& app) {
  const std::string group = "Server";
  add_option(app, "host", host, "Address to listen on (127.0.0.1: this machine alone)")
      ->option_text("ADDRESS")
      ->group(group);
  add_count(app, "port", port, "Port (8080; 0: any that is free)")->group(group);
  add_count(app, "parallel", n_live,
            "Conversations that stay in memory, and answers at once (4), decoded in one batch; the one that "
            "was used "
            "longest ago makes room")
      ->group(group);
  add_count(app, "queue", n_waiting, "Requests that may wait (32); others get HTTP 503")->group(group);
  add_option(
      app, "store", store,
      "Folder that keeps every conversation behind each answer: those that make room rest there and come "
      "back, also when the server starts again")
      ->option_text("DIR")
      ->group(group);
  add_option(app, "store_limit", store_limit,
             "Most bytes of stored conversations (20GiB); those used longest ago go")
      ->option_text("SIZE")
      ->group(group);
  add_flag(app, "store_shared", is_store_shared,
           "Other servers use the same folder, each with this flag: a conversation goes on at any of them")
      ->group(group);
  add_option(app, "api_key_file", key_file,
             "Keys that clients must show, one a line; $KVEVICT_API_KEY is one, too")
      ->option_text("FILE")
      ->group(group);
  add_option(app, "tls_certificate", tls_certificate,
             "Certificate in PEM, with those that vouch for it: the server speaks HTTPS, and nothing else")
      ->option_text("FILE")
      ->group(group);
  add_option(app, "tls_key", tls_key, "Its key in PEM, without a password")
      ->option_text("FILE")
      ->group(group);
  add_option(app, "cors", cors, "Web pages of this origin may ask, such as http://localhost:3000; *: of any")
      ->option_text("ORIGIN")
      ->group(group);
  add_count(app, "drain_seconds", drain_seconds, "Most seconds that answers may take to end at SIGTERM (30)")
      ->group(group);
  messages.add_to(app);
  add_keep_reasoning(app, keep_reasoning);
  generation.add_to(app);
  strategy.add_to(app, false, true);
  engine.add_to(app);
}

void ServeFlags::validate() const {
  generation.validate();
  require_range("port", port, 0, 65535);
  require_range("parallel", n_live, 1, kMostLive);
  require_range("queue", n_waiting, 0, kMostWaiting);
  require_range("drain_seconds", drain_seconds, 0, kLongestDrain);
  if (!store_limit.empty()) {
    if (store.empty())
      throw Error(ErrorCode::kInvalidArgument, "--store_limit is given without a folder: --store names one");
    (void)store_bytes();
  }
  if (is_store_shared && store.empty())
    throw Error(ErrorCode::kInvalidArgument, "--store_shared is given without a folder: --store names one");
  if (tls_certificate.empty() != tls_key.empty())
    throw Error(ErrorCode::kInvalidArgument,
                tls_key.empty() ? "--tls_certificate is given without its key: --tls_key names it"
                                : "--tls_key is given without its certificate: --tls_certificate names it");
  if (cors.find_first_of("\r\n") != std::string::npos)
    throw Error(ErrorCode::kInvalidArgument, "--cors has a line break: one origin is needed");
  if (!engine.is_bounded())
    throw Error(
        ErrorCode::kInvalidArgument,
        "--prefill is full: a server's conversations are longer than any window, so bounded is needed");
}

std::int64_t ServeFlags::store_bytes() const {
  return parse_bytes(store_limit.empty() ? "20GiB" : store_limit, "the limit of the store", "store_limit");
}

std::shared_ptr<serving::ConversationStore> ServeFlags::open_store(const Model& model) const {
  if (store.empty()) return nullptr;
  return std::make_shared<serving::ConversationStore>(serving::StoreOptions{.folder = store,
                                                                            .n_most_bytes = store_bytes(),
                                                                            .model_sha256 = model.sha256(),
                                                                            .is_shared = is_store_shared});
}

std::vector<std::string> ServeFlags::keys() const {
  constexpr std::string_view kWhite = " \t\r";
  std::vector<std::string> keys;
  const auto add = [&](const std::string& line) {
    const std::size_t begin = line.find_first_not_of(kWhite);
    if (begin != std::string::npos)
      keys.push_back(line.substr(begin, line.find_last_not_of(kWhite) + 1 - begin));
  };
  if (!key_file.empty()) {
    std::istringstream lines(read_text(key_file));
    for (std::string line; std::getline(lines, line);) add(line);
    if (keys.empty())
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("--api_key_file {} holds no key: one a line is needed", key_file));
  }
  add(environment_variable("KVEVICT_API_KEY"));
  return keys;
}

bool ServeFlags::is_local() const {
  return host.starts_with("127.") || host == "localhost" || host == "::1";
}

std::string ServeFlags::url(int actual_port) const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}", tls_certificate.empty() ? "http" : "https",
                     is_ipv6 ? "[" + host + "]" : host, actual_port);
}

}  // namespace kvevict::cli

#include "hub/fetch.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "kvevict/error.h"
#include "support/hub_server.h"
#include "support/work_folder.h"
#include "text/hashes.h"

namespace kvevict {
namespace {

namespace fs = std::filesystem;

fs::path work() {
  return fs::path(KVEVICT_TEST_WORK_DIR) / ("hub-" + std::to_string(getpid()));
}

class FetchTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<HubServer>(work() / "server"); }
  static void TearDownTestSuite() {
    server_.reset();
    fs::remove_all(work());
  }
  void SetUp() override {
    fs::remove_all(work() / "cache");
    fs::remove_all(work() / "longbench");
    static_cast<void>(server_->requests());
  }

  [[nodiscard]] static HubAccess access(const std::string& token = "") {
    HubAccess access{.endpoint = server_->endpoint(), .http = {}};
    access.http.token = token;
    access.http.n_tries = 4;
    access.http.first_wait = std::chrono::milliseconds(1);
    return access;
  }

  fs::path fetch(const std::string& name, const std::string& token = "") const {
    return fetch_model(access(token), cache_, parse_model_name(name).value(), {}).file;
  }

  /// The error's sentence, whose code must be `code`.
  std::string refusal(const std::string& name, ErrorCode code, const std::string& token = "") const {
    try {
      static_cast<void>(fetch(name, token));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_EQ(std::string(error.what()).find("hf_secret"), std::string::npos) << "a token in a message";
      return error.what();
    }
    ADD_FAILURE() << name << ": no error";
    return {};
  }

  [[nodiscard]] static std::string content(const fs::path& path) {
    std::stringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }

  static std::unique_ptr<HubServer> server_;
  HubCache cache_{work() / "cache"};
};

std::unique_ptr<HubServer> FetchTest::server_;

/// What hub_server.py serves as tiny.Q4_K_M.gguf.
std::string big_content() {
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += static_cast<char>((i * 7 + i / 251) % 256);
  return bytes;
}

TEST_F(FetchTest, DownloadsOnceIntoTheSharedLayout) {
  const fs::path path = fetch("test/good");
  EXPECT_EQ(
      path,
      work() /
          "cache/models--test--good/snapshots/0123456789abcdef0123456789abcdef01234567/tiny.Q4_K_M.gguf");
  EXPECT_EQ(content(path), big_content());
  EXPECT_TRUE(fs::is_symlink(path));
  EXPECT_EQ(server_->requests().size(), 3U) << "the listing, the redirect, the file";
  EXPECT_EQ(fetch("test/good"), path);
  EXPECT_EQ(server_->requests().size(), 1U) << "only the listing";
  ASSERT_EQ(cache_.snapshots(HubKind::kModel, "test/good").size(), 1U);
  EXPECT_EQ(cache_.snapshots(HubKind::kModel, "test/good")[0].paths,
            std::vector<std::string>{"tiny.Q4_K_M.gguf"});
  EXPECT_EQ(cache_.repositories(HubKind::kModel), std::vector<std::string>{"test/good"});
}

TEST_F(FetchTest, AFileThatWasCutOffIsMended) {
  const fs::path path = fetch("test/good");
  fs::resize_file(fs::canonical(path), 2000);
  static_cast<void>(server_->requests());
  EXPECT_EQ(content(fetch("test/good")), big_content());
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_NE(requests[2].find("bytes=2000-"), std::string::npos) << "its beginning is used: " << requests[2];
}

TEST_F(FetchTest, AFileWithAnotherContentIsMended) {
  const fs::path path = fetch("test/good");
  std::ofstream(fs::canonical(path), std::ios::binary) << std::string(5000, 'x');
  EXPECT_EQ(content(fetch("test/good")), big_content());
}

TEST_F(FetchTest, ACopyInPlaceOfALinkIsAsGood) {
  const fs::path path = fetch("test/good");
  const fs::path blob = fs::canonical(path);
  fs::remove(path);
  fs::rename(blob, path);
  static_cast<void>(server_->requests());
  EXPECT_EQ(content(fetch("test/good")), big_content());
  EXPECT_EQ(server_->requests().size(), 1U) << "only the listing";
}

TEST_F(FetchTest, OfflineNothingIsAsked) {
  const fs::path path = fetch("test/good");
  static_cast<void>(server_->requests());
  HubAccess offline = access();
  offline.is_offline = true;
  const FetchedModel cached = fetch_model(offline, cache_, {"test/good", ""}, {});
  EXPECT_EQ(cached.file, path);
  EXPECT_FALSE(cached.why_unchecked.empty());
  EXPECT_THROW(static_cast<void>(fetch_model(offline, cache_, {"test/good", "Q8_0"}, {})), Error);
  EXPECT_THROW(static_cast<void>(fetch_longbench(offline, cache_, work() / "longbench", {})), Error);
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(FetchTest, WhatWasCutOffAndCannotBeMendedIsNoModel) {
  HubRepository stuck{
      .name = "test/stuck", .commit = "0123456789abcdef0123456789abcdef01234567", .files = {}};
  const HubFile file{.path = "tiny.Q4_K_M.gguf",
                     .n_bytes = 5000,
                     .sha256 = sha256_of_file(fetch("test/good")),
                     .git_sha1 = {}};
  const fs::path blob = cache_.blob(HubKind::kModel, stuck, file);
  fs::create_directories(blob.parent_path());
  std::ofstream(blob, std::ios::binary) << big_content().substr(0, 2000);
  cache_.link(HubKind::kModel, stuck, file);
  EXPECT_NE(refusal("test/stuck", ErrorCode::kIo).find("in 4 attempts"), std::string::npos);
}

TEST_F(FetchTest, WhatTheCacheHoldsServesWhileTheHubIsAway) {
  const fs::path path = fetch("test/good");
  HubAccess nobody = access();
  nobody.endpoint = "http://127.0.0.1:1";
  const FetchedModel cached = fetch_model(nobody, cache_, {"test/good", ""}, {});
  EXPECT_EQ(cached.file, path);
  EXPECT_NE(cached.why_unchecked.find("127.0.0.1:1"), std::string::npos) << cached.why_unchecked;
}

/// The variables that say who asks, put back afterwards.
class HubEnvironment : public testing::Test {
 protected:
  HubEnvironment() {
    for (const char* name : {"HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE",
                             "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME", "HOME"}) {
      const char* const value = std::getenv(name);
      old_.emplace_back(name, value == nullptr ? std::optional<std::string>() : std::string(value));
      unsetenv(name);
    }
    setenv("HOME", folder_.c_str(), 1);
  }
  ~HubEnvironment() override {
    for (const auto& [name, value] : old_)
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }
  static std::string token() { return HubAccess::from_environment().http.token; }

  fs::path folder_ = test::make_work_folder();
  std::vector<std::pair<std::string, std::optional<std::string>>> old_;
};

TEST_F(HubEnvironment, TheTokenIsTheVariableOrWhatALoginWrote) {
  EXPECT_EQ(token(), "");
  fs::create_directories(folder_ / ".cache/huggingface");
  std::ofstream(folder_ / ".cache/huggingface/token") << "hf_login\n";
  EXPECT_EQ(token(), "hf_login");
  std::ofstream(folder_ / "other") << "hf_other";
  setenv("HF_TOKEN_PATH", "~/other", 1);
  EXPECT_EQ(token(), "hf_other");
  setenv("HF_TOKEN", "hf_variable", 1);
  EXPECT_EQ(token(), "hf_variable");
}

TEST_F(HubEnvironment, TheCacheIsWhereTheOtherClientsHaveIt) {
  EXPECT_EQ(HubCache::from_environment().root(), folder_ / ".cache/huggingface/hub");
  setenv("HF_HOME", "~/hf", 1);
  EXPECT_EQ(HubCache::from_environment().root(), folder_ / "hf/hub");
  setenv("HUGGINGFACE_HUB_CACHE", "~", 1);
  EXPECT_EQ(HubCache::from_environment().root(), folder_ / "");
  setenv("HF_HUB_CACHE", "/new", 1);
  EXPECT_EQ(HubCache::from_environment().root(), "/new");
}

TEST_F(HubEnvironment, OfflineIsASwitch) {
  EXPECT_FALSE(HubAccess::from_environment().is_offline);
  for (const char* on : {"1", "true", "ON", "Yes"}) {
    setenv("HF_HUB_OFFLINE", on, 1);
    EXPECT_TRUE(HubAccess::from_environment().is_offline) << on;
  }
  setenv("HF_HUB_OFFLINE", "0", 1);
  EXPECT_FALSE(HubAccess::from_environment().is_offline);
}

TEST_F(FetchTest, AQuantChoosesTheFileAndASplitOneComesWhole) {
  EXPECT_EQ(fetch("test/good:q8_0").filename(), "tiny.Q8_0.gguf");
  const fs::path first = fetch("test/good:Q6_K");
  EXPECT_EQ(first.filename(), "big-Q6_K-00001-of-00002.gguf");
  EXPECT_EQ(content(first) + content(first.parent_path() / "big-Q6_K-00002-of-00002.gguf"), big_content());
}

TEST_F(FetchTest, TheTokenGoesToTheHubAlone) {
  EXPECT_EQ(content(fetch("test/gated", HubServer::kToken)), big_content());
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_NE(requests[0].find(" token 127.0.0.1"), std::string::npos) << requests[0];
  EXPECT_NE(requests[1].find(" token 127.0.0.1"), std::string::npos) << requests[1];
  EXPECT_NE(requests[2].find(" - 127.0.0.2"), std::string::npos)
      << "not to where the redirect leads: " << requests[2];
}

TEST_F(FetchTest, BrokenTransfersGoOnWhereTheyStopped) {
  EXPECT_EQ(content(fetch("test/broken")), big_content());
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 6U) << "the listing and five pieces";
  EXPECT_NE(requests[2].find("bytes=1000-"), std::string::npos) << requests[2];
  EXPECT_NE(requests[5].find("bytes=4000-"), std::string::npos) << requests[5];
}

TEST_F(FetchTest, GivesUpWhereNothingComes) {
  EXPECT_NE(refusal("test/stuck", ErrorCode::kIo).find("in 4 attempts"), std::string::npos);
}

TEST_F(FetchTest, BeginsAnewWhereTheServerKnowsNoRanges) {
  fs::create_directories(work());
  const fs::path part = work() / "part";
  std::ofstream(part) << std::string(700, 'x');
  HttpClient client(access().http);
  client.download(server_->endpoint() + "/test/norange/resolve/main/tiny.Q4_K_M.gguf", part, 5000, {});
  EXPECT_EQ(content(part), big_content());
}

TEST_F(FetchTest, AWrongChecksumIsRefusedAndRemoved) {
  EXPECT_NE(refusal("test/wrong", ErrorCode::kBadData).find("the checksum of tiny.Q4_K_M.gguf is"),
            std::string::npos);
  for (const auto& entry : fs::recursive_directory_iterator(work() / "cache")) {
    EXPECT_FALSE(entry.is_regular_file()) << entry.path();
  }
}

TEST_F(FetchTest, RefusalsSayWhatToDo) {
  EXPECT_NE(refusal("test/gated", ErrorCode::kInvalidArgument).find("set HF_TOKEN"), std::string::npos);
  EXPECT_NE(refusal("test/gated", ErrorCode::kInvalidArgument, "hf_secret_wrong").find("HF_TOKEN"),
            std::string::npos);
  EXPECT_NE(refusal("test/forbidden", ErrorCode::kInvalidArgument, HubServer::kToken).find("HTTP 403"),
            std::string::npos);
  EXPECT_NE(refusal("test/nothing", ErrorCode::kNotFound).find("HTTP 404"), std::string::npos);
  EXPECT_NE(refusal("test/alwaysbusy", ErrorCode::kIo).find("HTTP 429"), std::string::npos);
  EXPECT_NE(refusal("test/weights", ErrorCode::kUnsupported).find("convert_hf_to_gguf.py"),
            std::string::npos);
  EXPECT_NE(refusal("test/good:Q2_K", ErrorCode::kUnsupported).find("tiny.Q8_0.gguf"), std::string::npos);
  EXPECT_NE(refusal("test/gated", ErrorCode::kInvalidArgument, "hf_secret \n").find("HF_TOKEN"),
            std::string::npos);
}

TEST_F(FetchTest, WaitsWhereTheServerIsBusy) {
  EXPECT_EQ(content(fetch("test/busy")), big_content());
}

TEST_F(FetchTest, NoServerIsSaidSo) {
  HubAccess nobody = access();
  nobody.endpoint = "http://127.0.0.1:1";
  EXPECT_THROW(static_cast<void>(fetch_model(nobody, cache_, {"test/good", ""}, {})), Error);
  nobody.endpoint = "file:///etc";
  EXPECT_THROW(static_cast<void>(fetch_model(nobody, cache_, {"test/good", ""}, {})), Error);
}

TEST_F(FetchTest, AFullDiskIsNamedAndTheRestComesLater) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{2048, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::string sentence = refusal("test/good", ErrorCode::kIo);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_NE(sentence.find("File too large"), std::string::npos) << sentence;
  static_cast<void>(server_->requests());
  EXPECT_EQ(content(fetch("test/good")), big_content());
  EXPECT_NE(server_->requests()[1].find("bytes=2048-"), std::string::npos);
}

TEST_F(FetchTest, LongBenchIsUnpackedAndStaysInItsFolder) {
  const auto names = fetch_longbench(access(), cache_, work() / "longbench", {});
  EXPECT_EQ(names, (std::vector<std::string>{"escape.jsonl", "qasper.jsonl", "trec.jsonl"}));
  EXPECT_FALSE(fs::exists(work() / "escape.jsonl"));
  EXPECT_GT(fs::file_size(work() / "longbench/trec.jsonl"), 100000U);
}

TEST_F(FetchTest, CancellingStops) {
  std::atomic<bool> cancel{true};
  HubAccess stopped = access();
  stopped.http.cancel = &cancel;
  try {
    static_cast<void>(fetch_model(stopped, cache_, {"test/good", ""}, {}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
}

TEST(FileHash, EqualsKnownValues) {
  const fs::path path = work() / "hash";
  fs::create_directories(work());
  std::ofstream(path) << "hello\n";
  EXPECT_EQ(sha256_of_file(path), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  EXPECT_EQ(git_sha1_of_file(path), "ce013625030ba8dba906f756967f9e9ca394464a");
  fs::remove_all(work());
}

}  // namespace
}  // namespace kvevict

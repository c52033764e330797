#include "text/remembered_hash.h"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <optional>

#include "base/atomic_file.h"
#include "kvevict/error.h"
#include "text/hashes.h"

namespace kvevict {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kDigits = 64;

/// What changes if a file does; nothing for one that is not there or has just changed.
std::optional<std::string> identity_of(const fs::path& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return std::nullopt;
  constexpr std::time_t kTooNew = 2;
  if (std::max(file.st_ctim.tv_sec, file.st_mtim.tv_sec) + kTooNew > std::time(nullptr)) return std::nullopt;
  std::string text;
  for (const auto number :
       {static_cast<std::int64_t>(file.st_dev), static_cast<std::int64_t>(file.st_ino),
        static_cast<std::int64_t>(file.st_size), static_cast<std::int64_t>(file.st_mtim.tv_sec),
        static_cast<std::int64_t>(file.st_mtim.tv_nsec), static_cast<std::int64_t>(file.st_ctim.tv_sec),
        static_cast<std::int64_t>(file.st_ctim.tv_nsec)})
    text += std::to_string(number) + " ";
  return text;
}

std::optional<std::string> identity_of(std::span<const fs::path> paths) {
  std::string all;
  for (const fs::path& path : paths) {
    const auto one = identity_of(path);
    if (!one) return std::nullopt;
    all += *one + "\n";
  }
  return all;
}

/// The hash that `file` holds; empty if it holds none.
std::string read_hash(const fs::path& file) {
  std::ifstream in(file);
  std::string hash;
  in >> hash;
  const bool is_sound =
      hash.size() == kDigits && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_sound ? hash : "";
}

}  // namespace

std::string remembered_sha256(std::span<const fs::path> paths, const fs::path& folder) {
  const std::optional<std::string> identity = folder.empty() ? std::nullopt : identity_of(paths);
  if (!identity) return sha256_of_files(paths);
  const fs::path file = folder / sha256_hex(*identity).substr(0, kDigits / 2);
  if (std::string hash = read_hash(file); !hash.empty()) return hash;
  std::string hash = sha256_of_files(paths);
  if (identity_of(paths) != identity) return hash;  // it changed while it was read
  try {
    write_file_atomically(file, hash + "\n");
  } catch (const Error&) {  // a full disk, a folder of someone else: then it is computed again
  }
  return hash;
}

}  // namespace kvevict

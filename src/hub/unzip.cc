#include "hub/unzip.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "kvevict/error.h"

namespace kvevict {
namespace fs = std::filesystem;
namespace {

struct Close {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};

[[noreturn]] void throw_damaged(const fs::path& archive, const std::string& why) {
  throw Error(ErrorCode::kBadData, archive.string() + " is not a sound ZIP archive: " + why);
}

[[noreturn]] void throw_full(const fs::path& path, const fs::path& unfinished, int error) {
  std::error_code ignored;
  fs::remove(unfinished, ignored);
  throw Error(ErrorCode::kIo, "cannot write " + path.string() + ": " + std::strerror(error));
}

void unpack(zip_t* archive, zip_uint64_t index, const fs::path& from, const fs::path& to) {
  const std::unique_ptr<zip_file_t, Close> input(zip_fopen_index(archive, index, 0));
  if (!input) throw_damaged(from, zip_strerror(archive));
  const fs::path unfinished = to.string() + ".incomplete";
  std::unique_ptr<std::FILE, Close> output(std::fopen(unfinished.c_str(), "wb"));
  if (!output) throw_full(to, unfinished, errno);
  std::array<char, 1U << 16U> buffer{};
  zip_int64_t n = 0;
  while ((n = zip_fread(input.get(), buffer.data(), buffer.size())) > 0) {
    if (std::fwrite(buffer.data(), 1, static_cast<std::size_t>(n), output.get()) !=
        static_cast<std::size_t>(n)) {
      throw_full(to, unfinished, errno);
    }
  }
  if (n < 0) {  // libzip checks the entry's checksum at its end
    std::error_code ignored;
    fs::remove(unfinished, ignored);
    throw_damaged(from, zip_file_strerror(input.get()));
  }
  if (std::fclose(output.release()) != 0) throw_full(to, unfinished, errno);
  std::error_code error;
  fs::rename(unfinished, to, error);
  if (error) throw_full(to, unfinished, error.value());
}

}  // namespace

std::vector<std::string> unzip_files(const fs::path& archive, const std::string& suffix,
                                     const fs::path& folder) {
  int code = 0;
  const std::unique_ptr<zip_t, Close> zip(zip_open(archive.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (!zip) throw_damaged(archive, "libzip's error " + std::to_string(code));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorCode::kIo, "cannot make " + folder.string() + ": " + error.message());
  std::vector<std::string> names;
  const zip_int64_t n_entries = zip_get_num_entries(zip.get(), 0);
  for (zip_int64_t i = 0; i < n_entries; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    const char* const entry = zip_get_name(zip.get(), index, 0);
    if (entry == nullptr) throw_damaged(archive, "an entry without a name");
    const std::string name = fs::path(entry).filename().string();
    if (!name.ends_with(suffix) || name.size() == suffix.size()) continue;
    unpack(zip.get(), index, archive, folder / name);
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace kvevict

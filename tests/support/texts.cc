#include "support/texts.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace kvevict::test {
namespace fs = std::filesystem;

fs::path long_text_path(const std::string& name) {
  const fs::path folder(KVEVICT_TEST_TEXTS_DIR);
  for (const fs::path& path : {folder / name, folder / "licenses.txt"}) {
    if (fs::exists(path)) return path;
  }
  throw std::runtime_error("no long text in " + folder.string() + ": run scripts/fetch_texts.sh");
}

std::string long_text(std::size_t n_bytes) {
  std::ifstream file(long_text_path("developers-reference.txt"), std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t end = text.find('\n', n_bytes);
  if (end == std::string::npos && text.size() < n_bytes)
    throw std::runtime_error("the long text is too short");
  return text.substr(0, end);
}

}  // namespace kvevict::test

#include "plot/gnuplot.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/atomic_file.h"
#include "kvevict/error.h"
#include "text/unicode_text.h"

namespace kvevict::plot {
namespace fs = std::filesystem;
namespace {

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

/// A file without a name, gone when it is closed.
class ScratchFile {
 public:
  ScratchFile() : file_(std::tmpfile()) {
    if (!file_)
      throw Error(ErrorCode::kIo, std::string("cannot make a temporary file: ") + std::strerror(errno));
  }

  void write(std::string_view content) {
    const bool is_written = std::fwrite(content.data(), 1, content.size(), file_.get()) == content.size();
    if (!is_written || std::fflush(file_.get()) != 0) {
      throw Error(ErrorCode::kIo, std::string("cannot write a temporary file: ") + std::strerror(errno));
    }
    std::rewind(file_.get());
  }

  [[nodiscard]] std::string read_all() {
    std::rewind(file_.get());
    std::string content;
    std::array<char, 65536> buffer{};
    for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), file_.get())) > 0;) {
      content.append(buffer.data(), n);
    }
    return content;
  }

  [[nodiscard]] int descriptor() const { return fileno(file_.get()); }

 private:
  std::unique_ptr<std::FILE, FileCloser> file_;
};

/// What becomes of the child's standard streams.
class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  void replace(int stream, int by) { posix_spawn_file_actions_adddup2(&actions_, by, stream); }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

/// Runs gnuplot on `in`; returns its exit status.
int run_gnuplot(const ScratchFile& in, const ScratchFile& out, const ScratchFile& err) {
  SpawnActions actions;
  actions.replace(STDIN_FILENO, in.descriptor());
  actions.replace(STDOUT_FILENO, out.descriptor());
  actions.replace(STDERR_FILENO, err.descriptor());
  std::string program = "gnuplot";
  std::string no_settings = "-d";
  std::array<char*, 3> arguments = {program.data(), no_settings.data(), nullptr};
  pid_t child = -1;
  const int error = posix_spawnp(&child, program.c_str(), actions.get(), nullptr, arguments.data(), environ);
  if (error == ENOENT || error == EACCES) {
    throw Error(ErrorCode::kUnsupported,
                "gnuplot draws the pictures and is not installed here: install gnuplot (Debian and Ubuntu: "
                "apt-get install gnuplot-nox)");
  }
  if (error != 0) throw Error(ErrorCode::kIo, std::string("cannot start gnuplot: ") + std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// The fonts are those of the machine: a sans serif one.
std::string terminal(PictureFormat format, PictureSize size, const DrawOptions& options) {
  switch (format) {
    case PictureFormat::kPng:
      return fmt::format(
          "set terminal pngcairo noenhanced size {},{} font 'sans-serif,10' fontscale 1.9 linewidth 2 "
          "pointscale 2 background rgb 'white'",
          2 * size.width, 2 * size.height);
    case PictureFormat::kPdf:
      return fmt::format(
          "set terminal pdfcairo noenhanced size {:.3f}in,{:.3f}in font 'sans-serif,9' fontscale 0.75 "
          "linewidth 1.5 dashlength 1.5 background rgb 'white'",
          size.width / 96.0, size.height / 96.0);
    case PictureFormat::kGif:
      return fmt::format(
          "set terminal gif noenhanced animate delay {} loop 0 size {},{} font 'sans-serif,10' "
          "background rgb 'white'",
          (options.frame_ms + 5) / 10, size.width, size.height);
    case PictureFormat::kSvg:
      break;
  }
  return fmt::format("set terminal svg noenhanced size {},{} {} name '{}' font 'sans-serif,12' {}",
                     size.width, size.height, options.is_inline ? "dynamic" : "fixed", options.id,
                     options.is_inline ? "" : "background rgb 'white'");
}

/// The first lines of what gnuplot complained about.
std::string short_complaint(const std::string& words) {
  std::string text;
  for (const char c : words.substr(0, 600)) text += c == '\n' ? ' ' : c;
  return text;
}

}  // namespace

PictureFormat picture_format(const fs::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".png") return PictureFormat::kPng;
  if (ending == ".svg") return PictureFormat::kSvg;
  if (ending == ".pdf") return PictureFormat::kPdf;
  if (ending == ".gif") return PictureFormat::kGif;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format(
          "the picture \"{}\" has no ending that is known: .png, .svg, .pdf or (animations) .gif is needed",
          path.string()));
}

std::string to_hex(Colour colour) {
  return fmt::format("#{:06x}", colour & 0xFFFFFFU);
}

std::string gnuplot_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : encode_utf8(decode_utf8(text))) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_letter = (byte | 0x20U) >= 'a' && (byte | 0x20U) <= 'z';
    if (byte < 0x20 || byte == 0x7F) {
      quoted += ' ';
    } else if (byte >= 0x80 || is_letter || c == ' ') {
      quoted += c;
    } else {
      quoted += fmt::format("\\{:03o}", byte);
    }
  }
  return quoted + "\"";
}

void GnuplotScript::begin_data(std::string_view name) {
  add(fmt::format("${} << KVEVICT_END", name));
}

void GnuplotScript::row(std::initializer_list<double> numbers) {
  for (const double number : numbers) text_ += fmt::format("{:.10g} ", number);
  text_ += "\n";
}

std::string draw_with_gnuplot(const GnuplotScript& script, PictureFormat format, PictureSize size,
                              const DrawOptions& options) {
  ScratchFile in;
  ScratchFile out;
  ScratchFile err;
  in.write("set encoding utf8\n" + terminal(format, size, options) + "\n" + script.text() +
           "\nunset output\n");
  const int status = run_gnuplot(in, out, err);
  std::string picture = out.read_all();
  if (status != 0 || picture.empty()) {
    throw Error(ErrorCode::kIo, "gnuplot could not draw the picture: " + short_complaint(err.read_all()));
  }
  return picture;
}

void save_with_gnuplot(const GnuplotScript& script, PictureSize size, const fs::path& path,
                       const DrawOptions& options) {
  const PictureFormat format = picture_format(path);
  require_writable(path);
  write_file_atomically(path, draw_with_gnuplot(script, format, size, options));
}

}  // namespace kvevict::plot

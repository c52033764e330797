#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace kvevict::plot {

enum class PictureFormat { kPng, kSvg, kPdf, kGif };

/// The format that the ending of `path` names. Errors: kInvalidArgument that lists the endings.
[[nodiscard]] PictureFormat picture_format(const std::filesystem::path& path);

/// Of the drawing, in CSS pixels (1/96 inch); PNG files have twice as many in both directions.
struct PictureSize {
  int width = 800;
  int height = 400;
};

/// A colour as 0xRRGGBB.
using Colour = unsigned;

/// "#rrggbb"
[[nodiscard]] std::string to_hex(Colour colour);

/// `text` as a gnuplot string that shows exactly these characters. Every ASCII character but letters, digits
/// and blanks is written as its octal code, so that nothing is left that gnuplot could take for a quote, a
/// command in backquotes or a macro. Bytes that are not UTF-8 give U+FFFD, control characters blanks.
[[nodiscard]] std::string gnuplot_quoted(std::string_view text);

/// A gnuplot script while it is written. Text that comes from outside enters through `gnuplot_quoted`
/// alone, numbers through the data blocks.
class GnuplotScript {
 public:
  /// Adds a command.
  void add(std::string_view command) { text_.append(command).append("\n"); }

  /// Begins the data block `$name`; rows follow by `row`, then `end_data`.
  void begin_data(std::string_view name);
  void row(std::initializer_list<double> numbers);
  void blank_row() { text_ += "\n"; }
  void end_data() { add("KVEVICT_END"); }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// How a picture is made that is not a file of its own.
struct DrawOptions {
  bool is_inline = false;      ///< SVG for a page: no background, grows with its column.
  std::string id = "kvevict";  ///< SVG: distinguishes several in one page; letters and digits.
  int frame_ms = 100;          ///< GIF: milliseconds for each `plot` command.
};

/// The picture's bytes, drawn by the program gnuplot with none of the user's own settings. Errors:
/// kUnsupported if gnuplot is not installed (says what to install), kIo if it fails (its words).
[[nodiscard]] std::string draw_with_gnuplot(const GnuplotScript& script, PictureFormat format,
                                            PictureSize size, const DrawOptions& options = {});

/// Draws into `path` in one step: an older file is whole until the new one is. Errors: as above, and kIo.
void save_with_gnuplot(const GnuplotScript& script, PictureSize size, const std::filesystem::path& path,
                       const DrawOptions& options = {});

}  // namespace kvevict::plot

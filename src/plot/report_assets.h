#pragma once

namespace kvevict::plot {

/// The page's style sheet: light and dark by the reader's setting or the page's own switch, and print.
[[nodiscard]] const char* report_style();

/// The page's script: sorting, the switch between light and dark, and the examples' details, which it builds
/// from the JSON in the element #data; texts are only ever set as text.
[[nodiscard]] const char* report_script();

}  // namespace kvevict::plot

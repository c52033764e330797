#pragma once

#include <string>

namespace kvevict::http {

/// The page at "/": chats for a person, in one file, that talks with this server alone. Texts of the model
/// and of the user are only ever set as text. Chats are kept by the browser.
[[nodiscard]] std::string chat_page();

/// Its parts: what it looks like, how it chats, and how it shows what the cache holds.
[[nodiscard]] const char* page_style();
[[nodiscard]] const char* page_chats();
[[nodiscard]] const char* page_answers();
[[nodiscard]] const char* page_cache();

/// What a browser lets the page do: its own style and script, and requests to this server.
inline constexpr const char* kPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace kvevict::http

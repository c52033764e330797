#pragma once

namespace kvevict::http {

/// The page at "/": a chat for a person, in one file, that talks with this server alone. Texts of the model
/// and of the user are only ever set as text.
[[nodiscard]] const char* chat_page();

/// What a browser lets the page do: its own style and script, and requests to this server.
inline constexpr const char* kPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace kvevict::http

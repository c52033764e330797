#pragma once

#include <string>

namespace kvevict {

/// Whether something accepts a TCP connection at `endpoint` ("host:port") within some seconds; the connection
/// is closed at once, nothing is sent.
[[nodiscard]] bool accepts_connection(const std::string& endpoint);

}  // namespace kvevict

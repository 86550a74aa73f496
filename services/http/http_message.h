// SPDX-License-Identifier: Apache-2.0
// What a handler sees of HTTP: a request read whole, and a writer for one response, sent at once or streamed. Does
// not parse or do I/O; see http_server.h. Plain values unless said otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"

namespace cloister::services {

struct HttpRequest {
  std::string method;                        // "GET", "POST", "PUT" or "DELETE".
  std::string path;                          // Percent-decoded, without the query; starts with '/'.
  std::map<std::string, std::string> query;  // Decoded; a name given twice is refused before.
  std::vector<std::pair<std::string, std::string>> headers;  // Names in lower case.
  std::string body;
  bool local = false;                // Over the Unix socket.
  std::optional<uint32_t> peer_uid;  // Of the process at the other end of the Unix socket.
  std::string remote_address;        // "127.0.0.1"; empty for the Unix socket.

  // The one value of a header. Errors: kInvalidArgument when it stands twice, so that no two readers of a request
  // can disagree about it.
  StatusOr<std::optional<std::string_view>> Header(std::string_view lower_case_name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// One response. Used by one thread, the one that runs the handler.
class HttpWriter {
 public:
  virtual ~HttpWriter() = default;
  // The whole response; it goes out when the handler has returned. At most one Send or StartStream per request.
  virtual void Send(HttpResponse response) = 0;
  // Sends status and headers now; the body follows by Write. Blocks. False when the client has gone.
  virtual bool StartStream(const HttpResponse& head) = 0;
  // Blocks until the bytes are handed to the kernel. False when the client has gone or is too slow.
  virtual bool Write(std::string_view bytes) = 0;
};

// Runs on a worker thread and may block. Must not throw.
using HttpHandler = std::function<void(const HttpRequest& request, HttpWriter& writer)>;

// Percent-decodes. Errors: kInvalidArgument (broken escape, control character, not UTF-8).
StatusOr<std::string> PercentDecode(std::string_view text, bool plus_is_space);
// Splits "/a%20b?x=1" into path and query of `request`. Errors: kInvalidArgument.
Status ParseTarget(std::string_view target, HttpRequest& request);

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 on a Unix socket and, with TLS 1.3, on TCP. Does not know what its requests mean. The only user of
// Boost.Beast, whose headers stay in http_server.cc. SPEC: RFC 9110, RFC 9112.
//
// I/O is asynchronous on two threads; handlers run on a pool of workers, so that a slow client costs a file
// descriptor and never a thread. Every limit below has one answer: 431, 413, 408 (the connection is just closed),
// 503 or a refused connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "common/status.h"
#include "services/http/http_message.h"

namespace cloister::services {

struct HttpLimits {
  uint32_t header_bytes_max = 16 * 1024;                // 431 above.
  uint64_t body_bytes_max = 1024 * 1024;                // 413 above.
  std::chrono::milliseconds handshake_timeout{5'000};   // TLS; the connection is closed.
  std::chrono::milliseconds read_timeout{30'000};       // Of a whole request, however its bytes trickle in.
  std::chrono::milliseconds idle_timeout{60'000};       // Between requests.
  std::chrono::milliseconds write_timeout{30'000};      // Of a response, or of one piece of a stream.
  uint32_t connections_max = 512;                       // More are closed at once.
  uint32_t requests_per_connection_max = 1000;          // Then the connection closes in order.
  uint32_t workers = 16;                                // Handlers at once.
  uint32_t queue_max = 64;                              // Requests that wait for a worker; 503 above.
};

struct HttpServerOptions {
  std::filesystem::path socket;     // Unix socket, mode 0600, replaced when it exists; empty: none.
  std::string listen;               // "127.0.0.1:8443" or "[::1]:8443"; empty: none. Port 0 picks a free one.
  std::string certificate_pem;      // For `listen`.
  std::string_view private_key_pem; // For `listen`; copied into the TLS library.
  HttpLimits limits;
};

class HttpServer {
 public:
  // Errors: kInvalidArgument (listen address, certificate, path over 100 bytes), kUnavailable (cannot listen; the
  // message names the address).
  static StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options, HttpHandler handler);
  ~HttpServer();
  // The TCP port in use; 0 without `listen`.
  uint16_t port() const;
  uint32_t connections() const;
  // Stops accepting, closes connections that are idle, makes writes of running handlers fail, and returns when the
  // last handler has.
  void Stop();

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// One POST to a fixed URL: TLS 1.2 or later with a certificate that is checked, no redirect followed, no proxy of the
// environment, no name looked up but the URL's. The only user of libcurl. Thread-safe. Blocks.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister::services {

constexpr size_t kPostAnswerBytesMax = 64 * 1024;

struct PostOptions {
  std::string ca_file;  // Certificates that are trusted, PEM; empty: those of the system.
  std::chrono::milliseconds connect_timeout{4'000};
  std::chrono::milliseconds timeout{8'000};  // Of all.
};
struct PostAnswer {
  int status = 0;
  std::string content_type, body;
};
// `url` is https://, or http:// for this machine. Errors: kUnavailable (not reached, no trusted certificate, late, an
// answer over kPostAnswerBytesMax); the message says which and names no content.
StatusOr<PostAnswer> HttpsPost(const std::string& url, std::string_view body, const PostOptions& options);

}  // namespace cloister::services

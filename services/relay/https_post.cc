// SPDX-License-Identifier: Apache-2.0
#include "services/relay/https_post.h"

#include <curl/curl.h>

#include <memory>

namespace cloister::services {
namespace {

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// Less than `size` makes libcurl end the transfer.
size_t Take(char* bytes, size_t, size_t size, void* into) {
  auto* body = static_cast<std::string*>(into);
  if (size > kPostAnswerBytesMax - body->size()) return 0;
  body->append(bytes, size);
  return size;
}

bool SetUpOnce() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

Status Configure(CURL* handle, const std::string& url, std::string_view body, const PostOptions& options,
                 const curl_slist* headers, std::string& answer) {
  bool set = true;
  const auto option = [&](CURLoption name, auto value) { set = set && curl_easy_setopt(handle, name, value) == CURLE_OK; };
  option(CURLOPT_URL, url.c_str());
  option(CURLOPT_PROTOCOLS_STR, "https,http");  // http was allowed for this machine where the URL was read.
  option(CURLOPT_FOLLOWLOCATION, 0L);
  option(CURLOPT_PROXY, "");
  option(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  option(CURLOPT_NOSIGNAL, 1L);
  option(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  option(CURLOPT_SSL_VERIFYPEER, 1L);
  option(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options.ca_file.empty()) option(CURLOPT_CAINFO, options.ca_file.c_str());
  option(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  option(CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeout.count()));
  option(CURLOPT_POST, 1L);
  option(CURLOPT_POSTFIELDS, body.data());
  option(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  option(CURLOPT_HTTPHEADER, headers);
  option(CURLOPT_WRITEFUNCTION, &Take);
  option(CURLOPT_WRITEDATA, &answer);
  return set ? absl::OkStatus() : Internal("libcurl does not take an option; it is older than 7.85");
}

}  // namespace

StatusOr<PostAnswer> HttpsPost(const std::string& url, std::string_view body, const PostOptions& options) {
  if (!SetUpOnce()) return Internal("libcurl does not start");
  const std::unique_ptr<CURL, CurlDeleter> handle(curl_easy_init());
  if (!handle) return Internal("libcurl gave no handle");
  curl_slist* list = curl_slist_append(nullptr, "Content-Type: text/plain; charset=utf-8");
  list = curl_slist_append(list, "Expect:");
  const std::unique_ptr<curl_slist, CurlDeleter> headers(list);
  PostAnswer answer;
  CLOISTER_RETURN_IF_ERROR(Configure(handle.get(), url, body, options, headers.get(), answer.body));
  const CURLcode code = curl_easy_perform(handle.get());
  if (code == CURLE_WRITE_ERROR) return Unavailable("the answer is longer than 64 KiB");
  if (code != CURLE_OK) return Unavailable(std::string("no answer: ") + curl_easy_strerror(code));
  long status = 0;
  const char* content_type = nullptr;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(handle.get(), CURLINFO_CONTENT_TYPE, &content_type);
  answer.status = static_cast<int>(status);
  if (content_type != nullptr) answer.content_type = content_type;
  return answer;
}

}  // namespace cloister::services

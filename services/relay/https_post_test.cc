// SPDX-License-Identifier: Apache-2.0
#include "services/relay/https_post.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "services/relay/test_https_server.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kShort{300};

PostOptions Trusting(const TestHttpsServer& server) { return {.ca_file = server.ca_file()}; }

HttpHandler Answering(HttpResponse response) {
  return [response](const HttpRequest&, HttpWriter& writer) { writer.Send(response); };
}

TEST(HttpsPostTest, PostsAndReadsTheAnswer) {
  std::string method, path, body;
  const TestHttpsServer server([&](const HttpRequest& request, HttpWriter& writer) {
    method = request.method;
    path = request.path;
    body = request.body;
    HttpResponse response;
    response.status = 409;
    response.content_type = "text/x.tlog.size";
    response.body = "17\n";
    writer.Send(response);
  });
  const std::string sent("with \0 and \n", 13);
  const auto answer = HttpsPost(server.url() + "/a/b", sent, Trusting(server));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 409);
  EXPECT_EQ(answer->content_type, "text/x.tlog.size");
  EXPECT_EQ(answer->body, "17\n");
  EXPECT_EQ(method, "POST");
  EXPECT_EQ(path, "/a/b");
  EXPECT_EQ(body, sent);
}

TEST(HttpsPostTest, ACertificateThatIsNotTrustedGetsNothing) {
  std::atomic<int> requests{0};
  const auto count = [&](const HttpRequest&, HttpWriter& writer) {
    ++requests;
    writer.Send({});
  };
  const TestHttpsServer server(count), other(count), elsewhere(count, "127.0.0.2");
  for (const auto& [url, options] : {std::pair{server.url(), Trusting(other)}, {server.url(), PostOptions{}},
                                     {elsewhere.url(), Trusting(elsewhere)}}) {
    EXPECT_EQ(HttpsPost(url, "x", options).status().code(), StatusCode::kUnavailable);
  }
  EXPECT_EQ(requests, 0);
}

TEST(HttpsPostTest, FollowsNoRedirectAndNoProxyOfTheEnvironment) {
  std::atomic<int> requests{0};
  const TestHttpsServer target([&](const HttpRequest&, HttpWriter& writer) {
    ++requests;
    writer.Send({});
  });
  HttpResponse redirect;
  redirect.status = 307;
  redirect.headers = {{"Location", target.url() + "/"}};
  const TestHttpsServer server(Answering(redirect));
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy"}) ::setenv(name, "http://127.0.0.1:9", 1);
  const auto answer = HttpsPost(server.url(), "x", Trusting(server));
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy"}) ::unsetenv(name);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 307);
  EXPECT_EQ(requests, 0);
}

TEST(HttpsPostTest, TooLongOrTooLateIsNoAnswer) {
  HttpResponse longest;
  longest.body = std::string(kPostAnswerBytesMax, 'x');
  HttpResponse longer = longest;
  longer.body += 'x';
  const TestHttpsServer fits(Answering(longest)), over(Answering(longer));
  EXPECT_EQ(HttpsPost(fits.url(), "x", Trusting(fits))->body.size(), kPostAnswerBytesMax);
  EXPECT_EQ(HttpsPost(over.url(), "x", Trusting(over)).status().code(), StatusCode::kUnavailable);
  std::atomic<bool> done{false};
  const TestHttpsServer late([&](const HttpRequest&, HttpWriter& writer) {
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    writer.Send({});
  });
  PostOptions hurried = Trusting(late);
  hurried.timeout = kShort;
  EXPECT_EQ(HttpsPost(late.url(), "x", hurried).status().code(), StatusCode::kUnavailable);
  done = true;
}

TEST(HttpsPostTest, NobodyThereAndNoOtherProtocol) {
  EXPECT_EQ(HttpsPost("https://127.0.0.1:9", "x", {}).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(HttpsPost("file:///etc/hostname", "x", {}).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cloister::services

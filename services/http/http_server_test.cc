// SPDX-License-Identifier: Apache-2.0
#include "services/http/http_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <random>
#include <thread>

#include "common/file.h"

namespace cloister::services {
namespace {

// A client that sends exactly the bytes it is told to.
class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const timeval timeout{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Up to the end of the connection.
  std::string ReadToEnd() {
    std::string all;
    char bytes[4096];
    ssize_t got;
    while ((got = ::recv(fd_.get(), bytes, sizeof bytes, 0)) > 0) all.append(bytes, static_cast<size_t>(got));
    ended_ = got == 0 || errno == ECONNRESET;
    return all;
  }
  // Until `mark` was received as often as `times`.
  std::string ReadUntil(std::string_view mark, int times = 1) {
    std::string all;
    char byte;
    while (times > 0 && ::recv(fd_.get(), &byte, 1, 0) == 1) {
      all.push_back(byte);
      if (all.ends_with(mark)) --times;
    }
    return all;
  }
  void CloseSending() { ::shutdown(fd_.get(), SHUT_WR); }
  bool ended() const { return ended_; }

 private:
  FileDescriptor fd_;
  bool connected_ = false;
  bool ended_ = false;
};

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-http-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    options_.socket = directory_ / "http.sock";
  }
  ~HttpServerTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Start(HttpHandler handler = nullptr) {
    if (handler == nullptr) {
      handler = [](const HttpRequest& request, HttpWriter& writer) {
        writer.Send({200, "text/plain", request.method + " " + request.path + " " + request.body, {}});
      };
    }
    auto server = HttpServer::Start(options_, std::move(handler));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  RawClient Client() { return RawClient(options_.socket); }
  std::string Exchange(std::string_view request) {
    RawClient client = Client();
    client.Send(request);
    client.CloseSending();
    return client.ReadToEnd();
  }

  std::filesystem::path directory_;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersARequest) {
  Start();
  const std::string reply = Exchange("POST /a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply;
  EXPECT_TRUE(reply.ends_with("\r\n\r\nPOST /a b hi")) << reply;
}

TEST_F(HttpServerTest, TheSocketIsTheOwnersAlone) {
  Start();
  struct stat info {};
  ASSERT_EQ(::stat(options_.socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(HttpServerTest, TellsTheUserAtTheOtherEnd) {
  std::atomic<int64_t> uid{-1};
  Start([&](const HttpRequest& request, HttpWriter& writer) {
    uid = request.peer_uid.has_value() ? static_cast<int64_t>(*request.peer_uid) : -2;
    writer.Send({});
  });
  Exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(uid, static_cast<int64_t>(::getuid()));
}

TEST_F(HttpServerTest, HeadersOverTheLimitGet431) {
  Start();
  const std::string reply = Exchange("GET / HTTP/1.1\r\nX: " + std::string(20 * 1024, 'a') + "\r\n\r\n");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 431")) << reply.substr(0, 100);
  const std::string fits = Exchange("GET / HTTP/1.1\r\nX: " + std::string(15 * 1024, 'a') + "\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(fits.starts_with("HTTP/1.1 200")) << fits.substr(0, 100);
}

TEST_F(HttpServerTest, ABodyOverTheLimitGets413HoweverItIsFramed) {
  options_.limits.body_bytes_max = 100;
  Start();
  EXPECT_TRUE(Exchange("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n").starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(Exchange("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n").starts_with("HTTP/1.1 4"));
  EXPECT_TRUE(Exchange("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'a') +
                       "\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(Exchange("POST / HTTP/1.1\r\nContent-Length: 100\r\nConnection: close\r\n\r\n" + std::string(100, 'a'))
                  .starts_with("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, MalformedRequestsGet400AndNeverTheHandler) {
  std::atomic<int> handled{0};
  Start([&](const HttpRequest&, HttpWriter& writer) {
    ++handled;
    writer.Send({});
  });
  for (const char* request : {
           "nonsense\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/3.1\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           "GET /%zz HTTP/1.1\r\n\r\n", "GET /%00 HTTP/1.1\r\n\r\n", "GET /%ff HTTP/1.1\r\n\r\n",
           "GET http://x/ HTTP/1.1\r\n\r\n", "GET /?a=1&a=2 HTTP/1.1\r\n\r\n"}) {
    EXPECT_TRUE(Exchange(request).starts_with("HTTP/1.1 400")) << request;
  }
  EXPECT_EQ(handled, 0);
}

TEST_F(HttpServerTest, ARequestThatTricklesInIsCutOffAsAWhole) {
  options_.limits.read_timeout = std::chrono::milliseconds(300);
  Start();
  RawClient client = Client();
  client.Send("GET / HTTP/1.1\r\nX: ");
  // Each byte comes well before the timeout; only a deadline for the whole request ends this.
  bool cut = false;
  for (int i = 0; i < 200 && !cut; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cut = !client.Send("a");
  }
  EXPECT_TRUE(cut);
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosed) {
  options_.limits.idle_timeout = std::chrono::milliseconds(100);
  Start();
  RawClient client = Client();
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_TRUE(client.ended());
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  const std::string reply = Exchange(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const size_t first = reply.find("GET /1 ");
  const size_t second = reply.find("GET /2 ");
  ASSERT_NE(first, std::string::npos);
  ASSERT_NE(second, std::string::npos);
  EXPECT_LT(first, second);
}

TEST_F(HttpServerTest, AConnectionCarriesALimitedNumberOfRequests) {
  options_.limits.requests_per_connection_max = 2;
  Start();
  RawClient client = Client();
  client.Send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.ReadUntil("GET /1 ").find("Connection: keep-alive"), std::string::npos);
  client.Send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.ReadToEnd().find("Connection: close"), std::string::npos);
  EXPECT_TRUE(client.ended());
}

TEST_F(HttpServerTest, MoreConnectionsThanAllowedAreClosedAndTheOthersGoOn) {
  options_.limits.connections_max = 2;
  Start();
  RawClient one = Client();
  RawClient two = Client();
  one.Send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  one.ReadUntil("GET /1 ");
  two.Send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  two.ReadUntil("GET /2 ");
  EXPECT_EQ(server_->connections(), 2u);
  RawClient three = Client();
  EXPECT_EQ(three.ReadToEnd(), "");
  EXPECT_TRUE(three.ended());
  one.Send("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(one.ReadUntil("GET /3 ").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, RequestsBeyondTheQueueGet503) {
  options_.limits.workers = 1;
  options_.limits.queue_max = 1;
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int inside = 0;
  Start([&](const HttpRequest&, HttpWriter& writer) {
    std::unique_lock lock(mutex);
    ++inside;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    writer.Send({200, "text/plain", "done", {}});
  });
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  RawClient running = Client();
  running.Send(kRequest);
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside == 1; });
  }
  // One of the next two waits, the other is turned away.
  RawClient second = Client();
  RawClient third = Client();
  second.Send(kRequest);
  third.Send(kRequest);
  std::string replies[2];
  std::thread reader([&] { replies[0] = second.ReadToEnd(); });
  std::thread other([&] { replies[1] = third.ReadToEnd(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  {
    std::lock_guard lock(mutex);
    open = true;
  }
  changed.notify_all();
  reader.join();
  other.join();
  EXPECT_NE(running.ReadToEnd().find("done"), std::string::npos);
  const int busy = replies[0].starts_with("HTTP/1.1 503") + replies[1].starts_with("HTTP/1.1 503");
  EXPECT_EQ(busy, 1);
  EXPECT_NE((replies[0] + replies[1]).find("Retry-After: 1"), std::string::npos);
}

TEST_F(HttpServerTest, StreamsInChunks) {
  Start([](const HttpRequest&, HttpWriter& writer) {
    HttpResponse head;
    head.content_type = "text/event-stream";
    EXPECT_TRUE(writer.StartStream(head));
    EXPECT_TRUE(writer.Write("first"));
    EXPECT_TRUE(writer.Write(""));  // Must not end the body.
    EXPECT_TRUE(writer.Write("second"));
  });
  const std::string reply = Exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(reply.find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_TRUE(reply.ends_with("\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")) << reply;
}

TEST_F(HttpServerTest, StreamsToAnOldClientUntilTheConnectionEnds) {
  Start([](const HttpRequest&, HttpWriter& writer) {
    writer.StartStream({});
    writer.Write("all of it");
  });
  const std::string reply = Exchange("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(reply.find("chunked"), std::string::npos);
  EXPECT_TRUE(reply.ends_with("\r\n\r\nall of it")) << reply;
}

TEST_F(HttpServerTest, AStreamToAClientThatLeftFails) {
  std::atomic<bool> noticed{false};
  Start([&](const HttpRequest&, HttpWriter& writer) {
    writer.StartStream({});
    const std::string piece(64 * 1024, 'x');
    for (int i = 0; i < 1000 && !noticed; ++i) noticed = !writer.Write(piece);
  });
  {
    RawClient client = Client();
    client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.ReadUntil("\r\n\r\n");
  }
  server_->Stop();
  EXPECT_TRUE(noticed);
}

TEST_F(HttpServerTest, InvitesABodyThatWaitsForIt) {
  Start();
  RawClient client = Client();
  client.Send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hi");
  EXPECT_TRUE(client.ReadToEnd().ends_with("POST /x hi"));
}

TEST_F(HttpServerTest, AHandlerThatSaysNothingGives500) {
  Start([](const HttpRequest&, HttpWriter&) {});
  EXPECT_TRUE(Exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 500"));
}

TEST_F(HttpServerTest, StopWaitsForHandlersAndMakesTheirWritesFail) {
  std::atomic<bool> inside{false};
  std::atomic<bool> failed{false};
  Start([&](const HttpRequest&, HttpWriter& writer) {
    writer.StartStream({});
    inside = true;
    while (!failed) {
      failed = !writer.Write("x");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  RawClient client = Client();
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  while (!inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  server_->Stop();
  EXPECT_TRUE(failed);
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(HttpServerTest, SurvivesNoise) {
  options_.limits.read_timeout = std::chrono::milliseconds(500);
  Start();
  const std::string good = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
  std::mt19937 random(20261122);
  for (int round = 0; round < 400; ++round) {
    std::string request = good;
    for (unsigned change = 0; change <= round % 4u; ++change) {
      request[random() % request.size()] = static_cast<char>(random());
    }
    RawClient client = Client();
    ASSERT_TRUE(client.connected());
    client.Send(request);
    client.CloseSending();
    const std::string reply = client.ReadToEnd();
    EXPECT_TRUE(reply.empty() || reply.starts_with("HTTP/1.1 ")) << round;
  }
  EXPECT_TRUE(Exchange(good).starts_with("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, RefusesAddressesItCannotUse) {
  options_.listen = "nowhere";
  EXPECT_EQ(HttpServer::Start(options_, {}).status().code(), StatusCode::kInvalidArgument);
  options_.listen = "127.0.0.1:99999";
  EXPECT_EQ(HttpServer::Start(options_, {}).status().code(), StatusCode::kInvalidArgument);
  options_.listen = "127.0.0.1:0";  // Without a certificate.
  EXPECT_EQ(HttpServer::Start(options_, {}).status().code(), StatusCode::kInvalidArgument);
  options_.listen.clear();
  options_.socket = directory_ / std::string(120, 'a');
  EXPECT_EQ(HttpServer::Start(options_, {}).status().code(), StatusCode::kInvalidArgument);
  options_.socket = directory_ / "no" / "folder";
  EXPECT_EQ(HttpServer::Start(options_, {}).status().code(), StatusCode::kUnavailable);
}

TEST(HttpMessageTest, AHeaderThatStandsTwiceIsRefused) {
  HttpRequest request;
  request.headers = {{"authorization", "a"}, {"x", "1"}, {"authorization", "b"}};
  EXPECT_EQ(request.Header("authorization").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(**request.Header("x"), "1");
  EXPECT_FALSE((*request.Header("y")).has_value());
}

TEST(HttpMessageTest, DecodesPathsAndQueries) {
  HttpRequest request;
  ASSERT_TRUE(ParseTarget("/a%2Fb/c+d?x=1+2&y=%C3%A9&z", request).ok());
  EXPECT_EQ(request.path, "/a/b/c+d");
  EXPECT_EQ(request.query["x"], "1 2");
  EXPECT_EQ(request.query["y"], "\xC3\xA9");
  EXPECT_EQ(request.query["z"], "");
}

}  // namespace
}  // namespace cloister::services

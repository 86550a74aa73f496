// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/control_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

class ControlSocketTest : public ::testing::Test {
 protected:
  StatusOr<std::string> Send(std::string_view former, std::string_view secret) {
    return SendAnchorRequest(path_, {crypto::Secret(former), crypto::Secret(secret), "tpm", "file"});
  }
  // Bytes that are no request; what comes back.
  std::string SendRaw(const std::string& bytes) {
    const FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    ::shutdown(fd.get(), SHUT_WR);
    const auto reply = ReadAll(fd.get(), 1 << 20);
    return reply.ok() ? *reply : "";
  }

  TestDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "supervisor.sock";
};

TEST_F(ControlSocketTest, GivesTheHandlerWhatWasSentAndTheSenderWhatItSaid) {
  std::string seen;
  const auto socket = ControlSocket::Start(path_, [&](const AnchorRequest& request) -> StatusOr<std::string> {
    seen = std::string(request.former_secret.view()) + "|" + std::string(request.secret.view()) + "|" +
           request.to + "|" + request.source;
    return std::string("done");
  });
  ASSERT_TRUE(socket.ok()) << socket.status();
  const auto answer = Send("correct horse", "battery staple");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "done");
  EXPECT_EQ(seen, "correct horse|battery staple|tpm|file");
  struct stat info;
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST_F(ControlSocketTest, ErrorsArriveWithTheirCode) {
  const auto socket = ControlSocket::Start(path_, [](const AnchorRequest&) -> StatusOr<std::string> {
    return Unauthenticated("wrong passphrase");
  });
  const auto answer = Send("a", "b");
  EXPECT_EQ(answer.status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(MessageOf(answer.status()), "wrong passphrase");
}

TEST_F(ControlSocketTest, NonsenseNeverReachesTheHandlerAndDoesNotStopTheSocket) {
  int calls = 0;
  const auto socket = ControlSocket::Start(path_, [&](const AnchorRequest&) -> StatusOr<std::string> {
    ++calls;
    return std::string("done");
  });
  for (const std::string& bytes :
       {std::string(), std::string("CLSC"), std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("CLSC\x02") + std::string(16, '\0'), std::string("CLSC\x01") + std::string(12, '\xff'),
        std::string(15'000, 'x')}) {
    const std::string reply = SendRaw(bytes);
    ASSERT_FALSE(reply.empty());
    EXPECT_EQ(static_cast<StatusCode>(reply[0]), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(Send("a", "b").ok());
  EXPECT_EQ(calls, 1);
}

TEST_F(ControlSocketTest, NobodyListensOnceItIsGone) {
  {
    const auto socket = ControlSocket::Start(
        path_, [](const AnchorRequest&) -> StatusOr<std::string> { return std::string(); });
    ASSERT_TRUE(socket.ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(Send("a", "b").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace cloister::services

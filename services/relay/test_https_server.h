// SPDX-License-Identifier: Apache-2.0
// For tests: an HTTPS server on loopback with a certificate of its own.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "crypto/certificate.h"
#include "services/http/http_server.h"
#include "services/server/test_authority.h"

namespace cloister::services {

class TestHttpsServer {
 public:
  explicit TestHttpsServer(HttpHandler handler, const std::string& address = "127.0.0.1") {
    auto certificate = crypto::SelfSignedCertificate({}, {address}, std::chrono::hours(1));
    EXPECT_TRUE(certificate.ok()) << certificate.status();
    std::ofstream(ca_file()) << certificate->certificate_pem;
    HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    options.certificate_pem = certificate->certificate_pem;
    options.private_key_pem = certificate->private_key_pem.view();
    auto server = HttpServer::Start(std::move(options), std::move(handler));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(server_->port()); }
  std::string ca_file() const { return (directory_.path() / "ca.pem").string(); }

 private:
  TestDirectory directory_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
#include "tests/access/interface.h"

#include <google/protobuf/descriptor.pb.h>

#include "common/file.h"
#include "services/server/rpc_client.h"
#include "services/server/test_raw_call.h"

namespace cloister::services {
namespace {

constexpr size_t kDescriptorBytesMax = 16 * 1024 * 1024;
constexpr std::string_view kPackage = "cloister.v1";

}  // namespace

std::vector<std::string> DeclaredMethods(const std::filesystem::path& path) {
  const auto bytes = ReadFile(path, kDescriptorBytesMax);
  CLOISTER_CHECK(bytes.ok());
  google::protobuf::FileDescriptorSet files;
  CLOISTER_CHECK(files.ParseFromString(*bytes));
  std::vector<std::string> out;
  for (const auto& file : files.file()) {
    if (file.package() != kPackage) continue;
    for (const auto& service : file.service()) {
      for (const auto& method : service.method())
        out.push_back("/" + file.package() + "." + service.name() + "/" + method.name());
    }
  }
  return out;
}

grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method) {
  return RawCall(channel, method, "", false, kCallTimeout);
}

bool WasRefused(const grpc::Status& status) {
  return status.error_code() == grpc::PERMISSION_DENIED && status.error_message() == kDenied;
}

std::vector<Unproven> UnprovenCallers(const RpcCredentials& member, const RpcCredentials& foreigner,
                                      std::string_view process, const std::filesystem::path& socket) {
  const std::string address = "unix:" + socket.string();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = member.ca_pem;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(DnsNameOf(process));
  // The foreigner knows our authority, so that only the server can be what refuses.
  RpcCredentials stranger = foreigner.Clone();
  stranger.ca_pem = member.ca_pem;
  return {
      {"no certificate", grpc::CreateCustomChannel(address, grpc::SslCredentials(tls), arguments)},
      {"another authority", Connect(stranger, process, socket)},
      {"no TLS", grpc::CreateChannel(address, grpc::InsecureChannelCredentials())},
  };
}

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// cloister-keys: the only process that holds root and epoch keys, in locked memory.
#include <charconv>
#include <memory>
#include <string>
#include <utility>

#include "common/clock.h"
#include "common/file.h"
#include "keyring/passphrase_anchor.h"
#include "services/keys/keys_service.h"
#include "services/server/service_main.h"

namespace cloister::services {
namespace {

class KeysProcess final : public RunningService {
 public:
  KeysProcess(std::unique_ptr<SystemClock> clock, std::unique_ptr<keyring::Keyring> keyring,
              PassphraseSource source)
      : clock_(std::move(clock)), keyring_(std::move(keyring)), service_(*keyring_, source) {}
  std::vector<grpc::Service*> RpcServices() override { return {&service_}; }
  std::vector<MethodRule> Rules() const override { return KeysRules(); }

 private:
  std::unique_ptr<SystemClock> clock_;
  std::unique_ptr<keyring::Keyring> keyring_;
  KeysService service_;
};

StatusOr<crypto::Secret> ReadPassphrase(const std::string& fd_flag) {
  int number = -1;
  const char* end = fd_flag.data() + fd_flag.size();
  const auto parsed = std::from_chars(fd_flag.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 0) {
    return InvalidArgument("--passphrase-fd needs the number of an inherited descriptor");
  }
  FileDescriptor fd(number);
  CLOISTER_ASSIGN_OR_RETURN(std::string bytes, ReadAll(fd.get(), crypto::kPassphraseBytesMax));
  crypto::Secret passphrase(bytes);
  crypto::Wipe(bytes.data(), bytes.size());
  return passphrase;
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  using namespace cloister;
  using namespace cloister::services;
  std::string passphrase_fd;
  std::string source_name = "typed";
  ServiceDefinition definition;
  definition.identity = "keys";
  definition.flags = {
      {"--passphrase-fd", "inherited descriptor with the passphrase", &passphrase_fd},
      {"--passphrase-source", "where it came from: typed, file or file-same-disk", &source_name},
  };
  definition.start = [&](const ServiceContext& context) -> StatusOr<std::unique_ptr<RunningService>> {
    CLOISTER_ASSIGN_OR_RETURN(const PassphraseSource source, ParsePassphraseSource(source_name));
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret passphrase, ReadPassphrase(passphrase_fd));
    auto clock = std::make_unique<SystemClock>();
    CLOISTER_ASSIGN_OR_RETURN(auto keyring,
                              keyring::Keyring::Open({.path = KeyringPath(context.data_directory())},
                                                     keyring::NewPassphraseAnchor(passphrase.view()), *clock));
    return std::make_unique<KeysProcess>(std::move(clock), std::move(keyring), source);
  };
  return ServiceMain(argc, argv, definition);
}

// SPDX-License-Identifier: Apache-2.0
// cloister-witness: keeps the last checkpoint of logs and cosigns what extends it, on a host that the logs' own
// administrators do not run. SPEC: c2sp.org/tlog-witness v1.0.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "crypto/certificate.h"
#include "crypto/secret.h"
#include "services/http/http_server.h"
#include "services/server/signals.h"
#include "services/witness/witness_folder.h"
#include "services/witness/witness_server.h"

namespace cloister::services {
namespace {

constexpr int kExitOk = 0, kExitFailed = 1, kExitUsage = 2;
constexpr size_t kKeyBytesMax = 4096;

struct Flags {
  std::string folder, name, key, listen = "127.0.0.1:8444", socket;
  std::vector<std::string> hosts;
  bool json = false;
};

int Fail(const Status& status) {
  std::fprintf(stderr, "cloister-witness: %s\n", MessageOf(status).c_str());
  return kExitFailed;
}

int Init(const Flags& flags) {
  if (const Status made = MakeWitnessFolder(flags.folder, flags.name, flags.hosts); !made.ok()) return Fail(made);
  const auto cosigner = ReadCosigner(flags.folder);
  if (!cosigner.ok()) return Fail(cosigner.status());
  std::printf("Made a witness in %s. Its key, for the configuration of whoever wants its cosignatures:\n\n  %s\n\n"
              "Next: `cloister-witness add-log %s --key LOG.vkey`, then `cloister-witness serve %s`.\n",
              flags.folder.c_str(), cosigner->verifier_key().c_str(), flags.folder.c_str(), flags.folder.c_str());
  return kExitOk;
}

int AddLogFrom(const Flags& flags) {
  const auto key = ReadFile(flags.key, kKeyBytesMax);
  if (!key.ok()) return Fail(Annotate(key.status(), flags.key));
  const auto origin = AddLog(flags.folder, *key);
  if (!origin.ok()) return Fail(origin.status());
  std::printf("Serves the log %s from its next start on.\n", origin->c_str());
  return kExitOk;
}

int PrintKey(const Flags& flags) {
  const auto cosigner = ReadCosigner(flags.folder);
  if (!cosigner.ok()) return Fail(cosigner.status());
  std::printf("%s\n", cosigner->verifier_key().c_str());
  return kExitOk;
}

// Of a witness that does not run: the folder is locked otherwise.
int PrintLogs(const Flags& flags) {
  const SystemClock clock;
  const auto witness = OpenWitness(flags.folder, clock);
  if (!witness.ok()) return Fail(witness.status());
  nlohmann::json rows = nlohmann::json::array();
  for (const witness::WitnessedLog& log : (*witness)->Logs()) {
    rows.push_back({{"origin", log.origin}, {"size", log.size}, {"checkpoint", log.checkpoint},
                    {"forks", log.forks}, {"unproven", log.unproven}});
    if (flags.json) continue;
    std::printf("%s: %s", log.origin.c_str(),
                log.checkpoint.empty() ? "nothing cosigned yet" : ("cosigned up to size " + std::to_string(log.size)).c_str());
    if (log.forks > 0) std::printf("; FORKED: %zu other checkpoints of a cosigned size are kept in evidence/", log.forks);
    if (log.unproven > 0) std::printf("; %zu checkpoints without a right proof are kept in evidence/", log.unproven);
    std::printf("\n");
  }
  if (flags.json) std::printf("%s\n", nlohmann::json{{"logs", rows}}.dump(2).c_str());
  if (rows.empty() && !flags.json) std::printf("No log yet: cloister-witness add-log FOLDER --key LOG.vkey\n");
  return kExitOk;
}

int Serve(const Flags& flags) {
  StartLog("witness", LogLevel::kInfo);
  const SystemClock clock;
  const auto witness = OpenWitness(flags.folder, clock);
  if (!witness.ok()) return Fail(witness.status());
  HttpServerOptions options;
  options.limits = WitnessLimits();
  options.socket = flags.socket;
  options.listen = flags.socket.empty() ? flags.listen : "";
  crypto::CertificateAndKey certificate;
  if (flags.socket.empty()) {
    auto read = ReadCertificate(flags.folder);
    if (!read.ok()) return Fail(Annotate(read.status(), "the certificate"));
    certificate = *std::move(read);
    options.certificate_pem = certificate.certificate_pem;
    options.private_key_pem = certificate.private_key_pem.view();
  }
  StopSignal stop;
  auto server = HttpServer::Start(std::move(options), WitnessHandler(**witness));
  if (!server.ok()) return Fail(server.status());
  std::printf("Serves %zu logs on %s.\n", (*witness)->Logs().size(),
              flags.socket.empty() ? ("https, port " + std::to_string((*server)->port())).c_str() : flags.socket.c_str());
  std::fflush(stdout);
  stop.Wait();
  (*server)->Stop();
  return kExitOk;
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  namespace services = cloister::services;
  cloister::crypto::ForbidCoreDumps();
  services::Flags flags;
  int (*run)(const services::Flags&) = nullptr;
  CLI::App app("Cosigns checkpoints of audit logs that extend what it saw before, so that a log that is cut back or forked "
               "is noticed.\nRun it on a host that the administrators of those logs do not administer.");
  app.require_subcommand(1);
  const auto command = [&](const char* name, const char* help, int (*what)(const services::Flags&)) {
    CLI::App* made = app.add_subcommand(name, help);
    made->add_option("folder", flags.folder, "the witness's own folder")->required();
    made->callback([&run, what] { run = what; });
    return made;
  };
  CLI::App* init = command("init", "Make the folder, a key and a certificate", services::Init);
  init->add_option("--name", flags.name, "name of the witness, such as witness.example.org/cloister")->required();
  init->add_option("--host", flags.hosts, "name or address that it is reached by; repeat for more [localhost]")
      ->allow_extra_args(false);
  CLI::App* add = command("add-log", "Serve one more log", services::AddLogFrom);
  add->add_option("--key", flags.key, "file with the log's verifier key, as `cloister audit key` prints it")->required();
  CLI::App* serve = command("serve", "Answer over HTTPS until SIGTERM", services::Serve);
  serve->add_option("--listen", flags.listen, "address and port")->capture_default_str();
  serve->add_option("--socket", flags.socket, "a Unix socket without TLS instead, for a proxy in front");
  command("key", "Print the verifier key of this witness", services::PrintKey);
  command("logs", "Print what was cosigned last of each log, while it does not run", services::PrintLogs)
      ->add_flag("--json", flags.json, "print JSON");
  app.footer("Exit status: 0 done, 1 failed, 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : services::kExitUsage;
  }
  return run(flags);
}

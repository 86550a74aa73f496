// SPDX-License-Identifier: Apache-2.0
// What keyring tests run in a process of its own: a keyring on a disk that fills up, and one that is killed in the
// middle of a change of epoch.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/clock.h"
#include "keyring/folder_anchor.h"
#include "keyring/keyring.h"
#include "keyring/passphrase_anchor.h"
#include "storage/small_disk.h"

namespace cloister::keyring {
namespace {

constexpr int kSkipped = 77;
using storage::KeyKind;

int Fail(const char* what, const Status& status = absl::OkStatus()) {
  std::fprintf(stderr, "%s: %s\n", what, MessageOf(status).c_str());
  return 1;
}

// A clear refusal, and nothing changes, neither for new keys nor for a change of epoch.
int FillDisk(const std::filesystem::path& directory) {
  if (!storage::MountSmallDisk(directory)) return kSkipped;
  const SystemClock clock;
  auto keyring = Keyring::Create({.path = directory / "keyring"},
                                 std::make_unique<PassphraseAnchor>(
                                     crypto::Secret(std::string_view("correct horse battery")),
                                     crypto::Argon2Cost{.memory_kib = 64, .passes = 1}),
                                 clock);
  if (!keyring.ok()) return Fail("keyring", keyring.status());
  const auto kept = (*keyring)->CreateKeys("test", KeyKind::kDocument, 1);
  if (!kept.ok()) return Fail("key", kept.status());
  storage::TakeTheRest(directory / "rest");
  const Status create = (*keyring)->CreateKeys("test", KeyKind::kDocument, 1024).status();
  if (create.code() != StatusCode::kResourceExhausted) return Fail("creating on a full disk", create);
  const Status destroy = (*keyring)->DestroyKeys("test", {kept->front().id}, storage::DestroyFor::kErasure).status();
  if (destroy.code() != StatusCode::kResourceExhausted) return Fail("destroying on a full disk", destroy);
  if ((*keyring)->size() != 1 || (*keyring)->GetStatus().epoch != 1) return Fail("the keyring changed");
  std::filesystem::remove(directory / "rest");
  if (!(*keyring)->CreateKeys("test", KeyKind::kDocument, 1).ok()) return Fail("no key after the full disk");
  if (!(*keyring)->DestroyKeys("test", {kept->front().id}, storage::DestroyFor::kErasure).ok()) return Fail("no destruction after the full disk");
  return (*keyring)->size() == 1 && (*keyring)->GetStatus().epoch == 2 ? 0 : Fail("the keyring holds something else");
}

// Destroys the key `id` and dies of a signal at a step.
int DestroyAndDie(const std::filesystem::path& directory, const std::string& id, int step) {
  const SystemClock clock;
  KeyringOptions options{.path = directory / "keyring"};
  options.on_step = [step](EpochStep reached) {
    if (static_cast<int>(reached) == step) ::raise(SIGKILL);
  };
  auto keyring = Keyring::Open(options, std::make_unique<FolderAnchor>(directory / "device"), clock);
  if (!keyring.ok()) return Fail("open", keyring.status());
  const auto key = KeyId::FromHex(id);
  if (!key.ok()) return Fail("id", key.status());
  const Status status = (*keyring)->DestroyKeys("test", {*key}, storage::DestroyFor::kErasure).status();
  return status.ok() ? 0 : Fail("destroy", status);
}

}  // namespace
}  // namespace cloister::keyring

int main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  if (mode == "fill-disk") return cloister::keyring::FillDisk(argv[2]);
  if (mode == "destroy" && argc == 5) return cloister::keyring::DestroyAndDie(argv[2], argv[3], std::atoi(argv[4]));
  return cloister::keyring::Fail("usage: fill-disk DIRECTORY | destroy DIRECTORY KEY STEP");
}

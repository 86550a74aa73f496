// SPDX-License-Identifier: Apache-2.0
// Keeps the freshness statement: writes it anew as databases and the log get on, refuses what is older, and
// keeps a copy with the escrowed keyring and a count in a device, so that not even the whole data directory
// can be put back unnoticed. Does not know who calls or what a database holds. Thread-safe; blocks on disk
// and device. SPEC: docs/formats/freshness.md
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "audit/note.h"
#include "common/clock.h"
#include "common/status.h"
#include "keyring/keyring.h"
#include "keyring/rollback_counter.h"
#include "services/keys/freshness_statement.h"

namespace cloister::services {

struct FreshnessOptions {
  std::filesystem::path file;                         // DATA/keys/freshness
  std::filesystem::path escrow_folder;                // Empty: none. One that is not mounted is passed over.
  std::unique_ptr<keyring::RollbackCounter> counter;  // Null: none.
  // Between two counts; each start and each change of epoch counts, too.
  std::chrono::hours count_interval{24};
};

struct FreshnessState {
  FreshnessStatement statement;
  bool escrowed = false;  // A copy lies in the escrow folder, and the last attempt to renew it succeeded.
};

class FreshnessKeeper {
 public:
  // Compares the statement with the keyring, the escrowed copy and the device's counter, and counts. Makes
  // the first statement, and its key, when the keyring has none. `keyring` and `clock` must outlive it.
  // Errors: kFailedPrecondition (older than one of these, missing although there was one, another
  // appliance's, or a format that this version does not know; the message says what to do), kDataLoss
  // (damaged, or another key's), kUnavailable (disk or device), kResourceExhausted.
  static StatusOr<std::unique_ptr<FreshnessKeeper>> Open(FreshnessOptions options, keyring::Keyring& keyring,
                                                         const Clock& clock);

  // A last Tick, so that the copy is of the end of this run.
  ~FreshnessKeeper();

  // What is stated of the databases of `owner`, by the names of their folders.
  std::map<std::string, FreshStore> StoresOf(std::string_view owner) const;
  std::optional<FreshLog> StatedLog() const;

  // States that `owner` has come so far; databases that are not named stay as they are. Nothing is written
  // when all of it is stated already. Errors: kFailedPrecondition (less than was stated, another database
  // under the same name, a log of another origin), kInvalidArgument (too many databases), kResourceExhausted,
  // kUnavailable.
  Status Note(std::string_view owner, const std::map<std::string, FreshStore>& stores,
              const std::optional<FreshLog>& log);

  // Counts, states the keyring's generation and replaces the escrowed copy: after a change of epoch, so that
  // no image from before is taken any more. What fails is logged and done by a later Tick.
  void AfterChangeOfEpoch();
  // Counts with another device from now on, or with none. Errors: kUnavailable, kResourceExhausted, those of
  // the device.
  Status UseCounter(std::unique_ptr<keyring::RollbackCounter> counter);
  // What has its time: the keyring's generation, the escrowed copy, a count. Logs what fails. Call once a
  // minute or so.
  void Tick();

  FreshnessState state() const;

 private:
  FreshnessKeeper(FreshnessOptions options, keyring::Keyring& keyring, const Clock& clock,
                  audit::NoteSigner signer);
  Status OpenCounter();
  Status MakeCounter();
  Status Count();
  Status Write(FreshnessStatement next);
  void WriteCopy();
  void CatchUp(bool count);

  const std::filesystem::path file_, escrow_folder_;
  const std::chrono::hours count_interval_;
  keyring::Keyring& keyring_;
  const Clock& clock_;
  const audit::NoteSigner signer_;
  mutable std::mutex mutex_;  // Guards all that follows.
  std::unique_ptr<keyring::RollbackCounter> counter_;
  FreshnessStatement statement_;
  uint64_t copied_ = 0;  // Number of the escrowed copy; 0: none.
  std::chrono::nanoseconds counted_at_{0};
  bool open_ = false;         // Compared: before that nothing is written at the end.
  bool copy_failed_ = false;  // Said once.
};

// For commands on a stopped appliance, with the keyring open.

// The statement in `file`, or nothing when there is none. Errors: as Open's for the file itself.
StatusOr<std::optional<FreshnessStatement>> ReadFreshness(const std::filesystem::path& file,
                                                          keyring::Keyring& keyring);
// Writes the next statement after the one in `file` and the copy in `escrow_folder`, whichever is newer and
// authentic, changed by `change`. Without either it is the first. A counter is left out: the next start makes
// one. Errors: kResourceExhausted, kUnavailable.
Status RestateFreshness(const std::filesystem::path& file, const std::filesystem::path& escrow_folder,
                        keyring::Keyring& keyring, const Clock& clock,
                        const std::function<void(FreshnessStatement&)>& change);

// DATA/keys/freshness
std::filesystem::path FreshnessPath(const std::filesystem::path& data_directory);
// FOLDER/<appliance id>.freshness
std::filesystem::path FreshnessCopyPath(const std::filesystem::path& folder, const DatabaseId& appliance);

}  // namespace cloister::services

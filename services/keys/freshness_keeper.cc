// SPDX-License-Identifier: Apache-2.0
#include "services/keys/freshness_keeper.h"

#include <utility>

#include "common/bytes.h"
#include "common/file.h"
#include "common/log.h"
#include "services/server/freshness_watch.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOwner = "keys";
constexpr std::string_view kKeyName = "freshness";
constexpr unsigned kFileMode = 0600;
// Of a keyring that holds nothing but the key of these statements.
constexpr uint64_t kFirstGenerations = 2;

Status Older(const std::string& what) { return FailedPrecondition(what + std::string(kOlderStateRemedy)); }

StatusOr<audit::NoteSigner> SignerOf(keyring::Keyring& keyring) {
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey seed,
                            keyring.GetNamedKey(kOwner, storage::KeyKind::kSigning, kKeyName));
  return audit::NoteSigner::New(FreshnessKeyName(keyring.appliance_id()), seed.key->view());
}

// Errors: kNotFound; those of NoteVerifier::Open and ParseStatementText.
StatusOr<FreshnessStatement> ReadStatement(const fs::path& file, const audit::NoteSigner& signer) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string note, ReadFile(file, audit::kNoteBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(const auto verifier, audit::NoteVerifier::Parse(signer.verifier_key()));
  CLOISTER_ASSIGN_OR_RETURN(const std::string text, verifier.Open(note));
  return ParseStatementText(text);
}

Status MissingStatement() {
  return Older(
      "the freshness statement (keys/freshness) is missing, so nothing tells whether the data is older than "
      "it was");
}

Status CheckKeyring(const FreshnessStatement& statement, uint64_t generation) {
  if (statement.keyring <= generation) return absl::OkStatus();
  return FailedPrecondition(
      "the keyring (generation " + std::to_string(generation) +
      ") is older than the freshness statement says (generation " + std::to_string(statement.keyring) +
      "): an older file was put in its place. Put the newer one back, or move this one away and "
      "run `cloister keys recover`");
}

Status CheckStore(const StoreName& name, const FreshStore& stated, const FreshStore& now) {
  const std::string which = "the database " + name.first + "/" + name.second;
  if (stated.database != now.database) return Older(which + " is another one than was there before");
  if (stated.sequence <= now.sequence) return absl::OkStatus();
  return Older(which + " is older than it was: it holds " + std::to_string(now.sequence) + " commits of " +
               std::to_string(stated.sequence));
}

Status CheckLog(const FreshLog& stated, const FreshLog& now) {
  if (stated.origin != now.origin) {
    return Older("the audit log is " + now.origin + ", and the one that was there before is " +
                 stated.origin);
  }
  if (stated.size < now.size || stated == now) return absl::OkStatus();
  if (stated.size == now.size) return Older("the audit log was replaced by another of the same length");
  return Older("the audit log is shorter than it was: " + std::to_string(now.size) + " entries of " +
               std::to_string(stated.size));
}

}  // namespace

FreshnessKeeper::FreshnessKeeper(FreshnessOptions options, keyring::Keyring& keyring, const Clock& clock,
                                 audit::NoteSigner signer)
    : file_(std::move(options.file)),
      escrow_folder_(std::move(options.escrow_folder)),
      count_interval_(options.count_interval),
      keyring_(keyring),
      clock_(clock),
      signer_(std::move(signer)),
      counter_(std::move(options.counter)) {}

StatusOr<std::unique_ptr<FreshnessKeeper>> FreshnessKeeper::Open(FreshnessOptions options,
                                                                 keyring::Keyring& keyring,
                                                                 const Clock& clock) {
  CLOISTER_ASSIGN_OR_RETURN(const auto found, ReadFreshness(options.file, keyring));
  CLOISTER_ASSIGN_OR_RETURN(audit::NoteSigner signer, SignerOf(keyring));
  std::unique_ptr<FreshnessKeeper> out(
      new FreshnessKeeper(std::move(options), keyring, clock, std::move(signer)));
  std::lock_guard lock(out->mutex_);
  if (found) {
    out->statement_ = *found;
    CLOISTER_RETURN_IF_ERROR(CheckKeyring(*found, keyring.generation()));
  }
  out->statement_.appliance = keyring.appliance_id();
  if (!out->escrow_folder_.empty()) {
    const auto copy =
        ReadStatement(FreshnessCopyPath(out->escrow_folder_, keyring.appliance_id()), out->signer_);
    if (copy.ok() && copy->number > out->statement_.number) {
      return Older(
          "the data directory is older than the copy of its freshness statement that lies with the escrowed "
          "keyring (statement " +
          std::to_string(out->statement_.number) + " of " + std::to_string(copy->number) + ")");
    }
    if (copy.ok()) out->copied_ = copy->number;
  }
  CLOISTER_RETURN_IF_ERROR(out->OpenCounter());
  // States at least the keyring's generation; with a device, counts. On a full disk the former statement
  // holds on: what can be read must stay readable.
  const Status counted = out->Count();
  if (counted.code() != StatusCode::kResourceExhausted || !found) CLOISTER_RETURN_IF_ERROR(counted);
  if (!counted.ok()) LogStatus(LogLevel::kWarning, "keys.freshness_not_stated", counted);
  out->WriteCopy();
  out->open_ = true;
  return out;
}

FreshnessKeeper::~FreshnessKeeper() {
  if (open_) Tick();
}

Status FreshnessKeeper::OpenCounter() {
  if (!counter_ && !statement_.counter.empty()) {
    return Older("the freshness statement counts with a device, and keys.rollback_counter names none");
  }
  if (!counter_) return absl::OkStatus();
  if (statement_.counter.empty() || statement_.count == 0) return MakeCounter();
  const auto value = counter_->Read(statement_.counter);
  if (value.status().code() == StatusCode::kNotFound) {
    return Older(
        "the device's counter that tells an older data directory is gone: it was cleared or exchanged");
  }
  if (!value.ok()) return value.status();
  if (*value > statement_.count) {
    return Older("the data directory is older than it was: the device counted " + std::to_string(*value) +
                 " and the freshness statement " + std::to_string(statement_.count));
  }
  // One more in the statement than in the device: stopped between the two. More than one cannot be.
  if (*value + 1 < statement_.count) {
    return Older("the device's counter is behind the freshness statement: it is another device");
  }
  statement_.count = *value;
  return absl::OkStatus();
}

// A name is stated before the device makes the counter, so that a kill in between leaves nothing unknown
// there. The count is 0 until it is made.
Status FreshnessKeeper::MakeCounter() {
  if (statement_.counter.empty()) {
    FreshnessStatement next = statement_;
    CLOISTER_ASSIGN_OR_RETURN(next.counter, counter_->NewName());
    next.count = 0;
    CLOISTER_RETURN_IF_ERROR(Write(std::move(next)));
  }
  auto made = counter_->Increment(statement_.counter);
  if (made.status().code() == StatusCode::kNotFound) made = counter_->Create(statement_.counter);
  if (!made.ok()) return made.status();
  statement_.count = *made;
  return absl::OkStatus();
}

Status FreshnessKeeper::UseCounter(std::unique_ptr<keyring::RollbackCounter> counter) {
  std::lock_guard lock(mutex_);
  FreshnessStatement next = statement_;
  next.counter.clear();
  next.count = 0;
  counter_.reset();
  CLOISTER_RETURN_IF_ERROR(Write(std::move(next)));
  if (!counter) return absl::OkStatus();
  counter_ = std::move(counter);
  CLOISTER_RETURN_IF_ERROR(MakeCounter());
  return Count();
}

// First the statement, then the device: stopped in between, the statement is one ahead, never behind.
Status FreshnessKeeper::Count() {
  FreshnessStatement next = statement_;
  if (counter_) next.count += 1;
  CLOISTER_RETURN_IF_ERROR(Write(next));
  counted_at_ = clock_.Monotonic();
  if (!counter_) return absl::OkStatus();
  const auto value = counter_->Increment(statement_.counter);
  if (value.ok() && *value == statement_.count) return absl::OkStatus();
  // Whether it counted is not known: what is true is read again.
  const auto read = counter_->Read(statement_.counter);
  if (!read.ok()) return read.status();
  if (*read > statement_.count) return Older("the device's counter was counted by somebody else");
  statement_.count = *read;
  return value.status();
}

Status FreshnessKeeper::Write(FreshnessStatement next) {
  next.number += 1;
  next.keyring = keyring_.generation();
  next.made_ns = clock_.Now().time_since_epoch().count();
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(file_, signer_.Sign(StatementText(next)), kFileMode));
  statement_ = std::move(next);
  return absl::OkStatus();
}

void FreshnessKeeper::WriteCopy() {
  if (escrow_folder_.empty() || copied_ == statement_.number) return;
  // A folder that is not mounted is not made.
  std::error_code ignored;
  Status status = Unavailable("the folder is not there");
  if (fs::is_directory(escrow_folder_, ignored)) {
    status = WriteFileAtomic(FreshnessCopyPath(escrow_folder_, statement_.appliance),
                             signer_.Sign(StatementText(statement_)), kFileMode);
  }
  if (status.ok()) copied_ = statement_.number;
  if (!status.ok() && !copy_failed_) LogStatus(LogLevel::kWarning, "keys.freshness_not_copied", status);
  copy_failed_ = !status.ok();
}

std::map<std::string, FreshStore> FreshnessKeeper::StoresOf(std::string_view owner) const {
  std::lock_guard lock(mutex_);
  std::map<std::string, FreshStore> out;
  for (const auto& [name, store] : statement_.stores) {
    if (name.first == owner) out[name.second] = store;
  }
  return out;
}

std::optional<FreshLog> FreshnessKeeper::StatedLog() const {
  std::lock_guard lock(mutex_);
  return statement_.log;
}

Status FreshnessKeeper::Note(std::string_view owner, const std::map<std::string, FreshStore>& stores,
                             const std::optional<FreshLog>& log) {
  std::lock_guard lock(mutex_);
  FreshnessStatement next = statement_;
  for (const auto& [folder, store] : stores) {
    const StoreName name(owner, folder);
    const auto stated = next.stores.find(name);
    if (stated != next.stores.end()) CLOISTER_RETURN_IF_ERROR(CheckStore(name, stated->second, store));
    next.stores[name] = store;
  }
  if (next.stores.size() > kFreshStoresMax)
    return InvalidArgument("more databases than a freshness statement names");
  if (log) {
    if (next.log) CLOISTER_RETURN_IF_ERROR(CheckLog(*next.log, *log));
    next.log = log;
  }
  if (next == statement_) return absl::OkStatus();
  // What could not be read back in the same spelling must never be written.
  if (!ParseStatementText(StatementText(next)).ok())
    return InvalidArgument("the name of a database or log is malformed");
  return Write(std::move(next));
}

void FreshnessKeeper::AfterChangeOfEpoch() { CatchUp(true); }

void FreshnessKeeper::Tick() { CatchUp(false); }

void FreshnessKeeper::CatchUp(bool count) {
  std::lock_guard lock(mutex_);
  const bool due = counter_ && clock_.Monotonic() - counted_at_ >= count_interval_;
  Status status;
  if (count || due) {
    status = Count();
  } else if (statement_.keyring != keyring_.generation()) {
    status = Write(statement_);
  }
  if (!status.ok()) LogStatus(LogLevel::kWarning, "keys.freshness_not_stated", status);
  WriteCopy();
}

FreshnessState FreshnessKeeper::state() const {
  std::lock_guard lock(mutex_);
  return {statement_, copied_ != 0 && !copy_failed_};
}

StatusOr<std::optional<FreshnessStatement>> ReadFreshness(const fs::path& file, keyring::Keyring& keyring) {
  const auto known = keyring.PublicKeyOf(kOwner, kKeyName);
  if (known.status().code() == StatusCode::kNotFound) {
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return std::optional<FreshnessStatement>();
    return FailedPrecondition(
        "the keyring is older than the freshness statement, which it has no key for: put the newer "
        "keyring back, or move this one away and run `cloister keys recover`");
  }
  if (!known.ok()) return known.status();
  CLOISTER_ASSIGN_OR_RETURN(const audit::NoteSigner signer, SignerOf(keyring));
  auto statement = ReadStatement(file, signer);
  if (statement.status().code() == StatusCode::kNotFound) {
    // Stopped between making the key and the first statement.
    if (keyring.generation() <= kFirstGenerations) return std::optional<FreshnessStatement>();
    return MissingStatement();
  }
  if (statement.status().code() == StatusCode::kDataLoss) {
    return DataLoss("the freshness statement (keys/freshness) is damaged, or another appliance's" +
                    std::string(kOlderStateRemedy));
  }
  if (!statement.ok()) return statement.status();
  if (statement->appliance != keyring.appliance_id())
    return Older("the freshness statement is another appliance's");
  return std::optional<FreshnessStatement>(*std::move(statement));
}

Status RestateFreshness(const fs::path& file, const fs::path& escrow_folder, keyring::Keyring& keyring,
                        const Clock& clock, const std::function<void(FreshnessStatement&)>& change) {
  CLOISTER_ASSIGN_OR_RETURN(const audit::NoteSigner signer, SignerOf(keyring));
  FreshnessStatement next;
  for (const fs::path& path :
       {file,
        escrow_folder.empty() ? fs::path() : FreshnessCopyPath(escrow_folder, keyring.appliance_id())}) {
    const auto found = path.empty() ? NotFound("no folder") : ReadStatement(path, signer);
    if (found.ok() && found->number > next.number) next = *found;
  }
  next.appliance = keyring.appliance_id();
  next.counter.clear();
  next.count = 0;
  change(next);
  next.number += 1;
  next.keyring = keyring.generation();
  next.made_ns = clock.Now().time_since_epoch().count();
  return WriteFileAtomic(file, signer.Sign(StatementText(next)), kFileMode);
}

fs::path FreshnessPath(const fs::path& data_directory) { return data_directory / "keys" / "freshness"; }

fs::path FreshnessCopyPath(const fs::path& folder, const DatabaseId& appliance) {
  return folder / (HexEncode(appliance.bytes()) + ".freshness");
}

}  // namespace cloister::services

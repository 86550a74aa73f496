// SPDX-License-Identifier: Apache-2.0
#include "storage/encrypted_env.h"

#include <fcntl.h>
#include <rocksdb/env_encryption.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/log.h"
#include "crypto/hash.h"
#include "storage/encrypted_manifest.h"
#include "storage/file_cipher.h"
#include "storage/torn_logs.h"

namespace cloister::storage {
namespace {

// What a CURRENT of RocksDB begins with when nobody encrypted it.
constexpr std::string_view kPlainCurrent = "MANIFEST-";
constexpr std::string_view kTemporaryExtension = ".dbtmp";

// Logs, tables and manifests keep the name they were made under, and their numbers are never used again, so
// the name is bound: one cannot stand in for another. CURRENT, IDENTITY and OPTIONS are renamed into place.
std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view BoundName(std::string_view path) {
  const std::string_view name = BaseName(path);
  const bool keeps_name = name.ends_with(".log") || name.ends_with(".sst") || name.ends_with(".blob") ||
                          name.starts_with("MANIFEST-");
  return keeps_name ? name : std::string_view();
}

// Damage and refusals must not look like a disk that may come back, nor the other way round.
rocksdb::Status ToRocksDb(const Status& status) {
  const bool permanent =
      status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kFailedPrecondition;
  return permanent ? rocksdb::Status::Corruption("file encryption")
                   : rocksdb::Status::IOError("file encryption");
}

class CipherStream final : public rocksdb::BlockAccessCipherStream {
 public:
  explicit CipherStream(std::unique_ptr<FileCipher> cipher) : cipher_(std::move(cipher)) {}
  size_t BlockSize() override { return 16; }
  rocksdb::Status Encrypt(uint64_t file_offset, char* data, size_t size) override {
    if (file_offset < kFilePrefixBytes) return rocksdb::Status::Corruption("inside the prefix");
    cipher_->Apply(file_offset - kFilePrefixBytes, data, size);
    return rocksdb::Status::OK();
  }
  rocksdb::Status Decrypt(uint64_t file_offset, char* data, size_t size) override {
    return Encrypt(file_offset, data, size);  // Counter mode is its own inverse.
  }

 protected:
  // The base class would cut its input into blocks for these; both calls above are whole.
  void AllocateScratch(std::string&) override {}
  rocksdb::Status EncryptBlock(uint64_t, char*, char*) override { return rocksdb::Status::NotSupported(); }
  rocksdb::Status DecryptBlock(uint64_t, char*, char*) override { return rocksdb::Status::NotSupported(); }

 private:
  const std::unique_ptr<FileCipher> cipher_;
};

// A file without a byte has no prefix either, and nothing in it to decrypt.
class EmptyFile final : public rocksdb::FSSequentialFile {
 public:
  rocksdb::IOStatus Read(size_t, const rocksdb::IOOptions&, rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext*) override {
    *result = rocksdb::Slice(scratch, 0);
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Skip(uint64_t) override { return rocksdb::IOStatus::OK(); }
};

// A manifest being written: counts what is appended and reports what is durable.
class ManifestFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  ManifestFile(std::unique_ptr<rocksdb::FSWritableFile> file, uint64_t number, ManifestSealer& sealer)
      : FSWritableFileOwnerWrapper(std::move(file)), number_(number), sealer_(sealer) {}
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    return Count(data, FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    return Count(data, FSWritableFileOwnerWrapper::Append(data, options, verification, debug));
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return Report(FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return Report(FSWritableFileOwnerWrapper::Fsync(options, debug));
  }

 private:
  rocksdb::IOStatus Count(const rocksdb::Slice& data, rocksdb::IOStatus status) {
    if (!status.ok()) return status;
    digest_.Update({data.data(), data.size()});
    bytes_ += data.size();
    return status;
  }
  rocksdb::IOStatus Report(rocksdb::IOStatus status) {
    if (status.ok()) sealer_.Synced({number_, bytes_, digest_.DigestSoFar()});
    return status;
  }
  const uint64_t number_;
  ManifestSealer& sealer_;
  uint64_t bytes_ = 0;
  crypto::Sha256Stream digest_;
};

// Closes what RocksDB's encrypted file system leaves open: it hands out an empty file unencrypted, aborts the
// process on one shorter than the prefix, and writes a second prefix into the middle of one that is reopened.
class StrictFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  StrictFileSystem(std::shared_ptr<rocksdb::FileSystem> base,
                   const std::shared_ptr<rocksdb::FileSystem>& encrypted, std::filesystem::path database,
                   ManifestSealer& sealer)
      : FileSystemWrapper(encrypted),
        base_(std::move(base)),
        database_(std::move(database)),
        sealer_(sealer) {}
  const char* Name() const override { return "CloisterEncryptedFileSystem"; }

  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext* debug) override {
    uint64_t size = 0;
    const auto status = base_->GetFileSize(name, options.io_options, &size, debug);
    if (!status.ok()) return status;
    if (size > 0) return FileSystemWrapper::NewSequentialFile(name, options, result, debug);
    *result = std::make_unique<EmptyFile>();
    return status;
  }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override {
    auto status = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    const uint64_t manifest = ManifestNumber(BaseName(name));
    if (status.ok() && manifest != 0 && IsOwn(name)) {
      *result = std::make_unique<ManifestFile>(std::move(*result), manifest, sealer_);
    }
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    auto status = FileSystemWrapper::RenameFile(from, to, options, debug);
    if (!status.ok() || BaseName(to) != "CURRENT" || !IsOwn(to)) return status;
    // Durable before it is sealed: the seal must never be ahead of the database.
    const Status synced = SyncDirectory(std::filesystem::path(to).parent_path());
    if (!synced.ok()) return rocksdb::IOStatus::IOError("folder of the database");
    sealer_.MadeCurrent();
    return status;
  }
  rocksdb::IOStatus GetFileSize(const std::string& name, const rocksdb::IOOptions& options, uint64_t* size,
                                rocksdb::IODebugContext* debug) override {
    const auto status = base_->GetFileSize(name, options, size, debug);
    return status.ok() ? WithoutPrefix(size) : status;
  }
  rocksdb::IOStatus GetChildrenFileAttributes(const std::string& directory, const rocksdb::IOOptions& options,
                                              std::vector<rocksdb::Env::FileAttributes>* result,
                                              rocksdb::IODebugContext* debug) override {
    const auto status = base_->GetChildrenFileAttributes(directory, options, result, debug);
    if (!status.ok()) return status;
    // Folders are among them, and torn files; neither has a content.
    for (auto& file : *result) {
      if (!WithoutPrefix(&file.size_bytes).ok()) file.size_bytes = 0;
    }
    return status;
  }
  rocksdb::IOStatus ReopenWritableFile(const std::string&, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSWritableFile>*,
                                       rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("an encrypted file is written once");
  }
  rocksdb::IOStatus ReuseWritableFile(const std::string&, const std::string&, const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSWritableFile>*,
                                      rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("an encrypted file is written once");
  }
  rocksdb::IOStatus NewRandomRWFile(const std::string&, const rocksdb::FileOptions&,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>*,
                                    rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("an encrypted file is written once");
  }

 private:
  static rocksdb::IOStatus WithoutPrefix(uint64_t* size) {
    if (*size > 0 && *size < kFilePrefixBytes)
      return rocksdb::IOStatus::Corruption("shorter than its prefix");
    if (*size > 0) *size -= kFilePrefixBytes;
    return rocksdb::IOStatus::OK();
  }
  // Checkpoints are written through here, too; the seal is of the database itself.
  bool IsOwn(const std::string& path) const { return std::filesystem::path(path).parent_path() == database_; }

  const std::shared_ptr<rocksdb::FileSystem> base_;
  const std::filesystem::path database_;
  ManifestSealer& sealer_;
};

// The first bytes of a file, as many as it has of kFilePrefixBytes. Errors: kNotFound, kUnavailable.
StatusOr<std::string> ReadPrefix(const std::filesystem::path& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "opening a database file");
  std::string prefix(kFilePrefixBytes, '\0');
  size_t have = 0;
  while (have < prefix.size()) {
    const ssize_t got = ::read(fd.get(), prefix.data() + have, prefix.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "reading a database file");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  prefix.resize(have);
  return prefix;
}

Status ManifestLost() {
  return DataLoss(
      "the database's list of its tables is damaged or older than it was; restore the database from a "
      "backup, or remove "
      "the file 'acknowledged' to go on without knowing what is missing");
}

// What a kill left of a file that was to be renamed into place. RocksDB removes most of them and not those of OPTIONS.
Status RemoveTemporaries(const std::filesystem::path& database) {
  std::error_code error;
  std::vector<std::filesystem::path> left;
  for (std::filesystem::directory_iterator it(database, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == kTemporaryExtension) left.push_back(it->path());
  }
  for (const auto& path : left) {
    if (!error) std::filesystem::remove(path, error);
  }
  return error && error != std::errc::no_such_file_or_directory
             ? ErrnoStatus(error.value(), "clearing temporary files of the database")
             : absl::OkStatus();
}

}  // namespace

class EncryptedEnv::Provider final : public rocksdb::EncryptionProvider {
 public:
  Provider(KeySource& keys, std::filesystem::path manifest_seal)
      : keys_(keys), sealer_(std::move(manifest_seal)) {}
  ManifestSealer& sealer() { return sealer_; }

  // Makes new files use `key`.
  void Use(DataKey key) {
    std::lock_guard lock(mutex_);
    current_ = key;
    known_[key.id] = key;
    sealer_.Use(std::move(key));
  }
  DataKey current() const {
    std::lock_guard lock(mutex_);
    return current_;
  }
  // Makes new files use the key that stands now under the name of volume keys.
  Status UseCurrent() {
    CLOISTER_ASSIGN_OR_RETURN(DataKey key, keys_.GetNamedKey(KeyKind::kStore, kVolumeKeyName));
    Use(std::move(key));
    return absl::OkStatus();
  }
  void ForgetFormer() {
    std::lock_guard lock(mutex_);
    std::erase_if(known_, [&](const auto& known) { return known.first != current_.id; });
  }
  // Errors: kDataLoss (gone, or not ours), kUnavailable.
  StatusOr<DataKey> KeyOf(const KeyId& id) {
    {
      std::lock_guard lock(mutex_);
      if (const auto it = known_.find(id); it != known_.end()) return it->second;
    }
    auto key = keys_.GetKey(id);
    if (key.status().code() == StatusCode::kNotFound ||
        key.status().code() == StatusCode::kPermissionDenied) {
      return DataLoss(
          "the key of the database's files is not in this service's keyring; put back the keyring that "
          "belongs "
          "to this data directory, or restore a backup");
    }
    if (!key.ok()) return key.status();
    std::lock_guard lock(mutex_);
    known_[id] = *key;
    return key;
  }
  StatusOr<std::unique_ptr<FileCipher>> CipherOf(std::string_view path, std::string_view prefix) {
    CLOISTER_ASSIGN_OR_RETURN(const KeyId id, FilePrefixKeyId(prefix));
    CLOISTER_ASSIGN_OR_RETURN(const DataKey key, KeyOf(id));
    return FileCipher::Open(key.key->view(), BoundName(path), prefix);
  }
  Status Refusal() const {
    std::lock_guard lock(mutex_);
    return refusal_;
  }

  const char* Name() const override { return "CloisterEncryptionProvider"; }
  size_t GetPrefixLength() const override { return kFilePrefixBytes; }
  rocksdb::Status CreateNewPrefix(const std::string& path, char* prefix, size_t size) const override {
    DataKey key;
    {
      std::lock_guard lock(mutex_);
      key = current_;
    }
    if (size != kFilePrefixBytes || key.key == nullptr)
      return rocksdb::Status::InvalidArgument("no volume key");
    const std::string made = MakeFilePrefix(key.id, key.key->view(), BoundName(path));
    std::memcpy(prefix, made.data(), size);
    return rocksdb::Status::OK();
  }
  rocksdb::Status AddCipher(const std::string&, const char*, size_t, bool) override {
    return rocksdb::Status::NotSupported("keys come from the keyring");
  }
  // Always a stream or an error: with neither, RocksDB would go on in plaintext.
  rocksdb::Status CreateCipherStream(const std::string& path, const rocksdb::EnvOptions&,
                                     rocksdb::Slice& prefix,
                                     std::unique_ptr<rocksdb::BlockAccessCipherStream>* result) override {
    auto cipher = CipherOf(path, {prefix.data(), prefix.size()});
    if (!cipher.ok()) {
      std::lock_guard lock(mutex_);
      refusal_ = cipher.status();
      return ToRocksDb(cipher.status());
    }
    *result = std::make_unique<CipherStream>(*std::move(cipher));
    return rocksdb::Status::OK();
  }

 private:
  KeySource& keys_;
  ManifestSealer sealer_;
  mutable std::mutex mutex_;
  DataKey current_;
  std::map<KeyId, DataKey> known_;
  Status refusal_;
};

EncryptedEnv::EncryptedEnv(std::filesystem::path database, std::shared_ptr<Provider> provider,
                           std::unique_ptr<rocksdb::Env> env)
    : database_(std::move(database)), provider_(std::move(provider)), env_(std::move(env)) {}
EncryptedEnv::~EncryptedEnv() = default;
rocksdb::Env* EncryptedEnv::env() const { return env_.get(); }
Status EncryptedEnv::Refusal() const { return provider_->Refusal(); }

// RocksDB ends the process when IDENTITY cannot be decrypted, and makes a new one when there is none. Nothing
// rests on it: our own database id stands in the column family "meta".
Status EncryptedEnv::RemoveBadIdentity(const std::filesystem::path& database, Provider& provider) {
  const std::filesystem::path identity = database / "IDENTITY";
  const auto prefix = ReadPrefix(identity);
  if (prefix.status().code() == StatusCode::kNotFound) return absl::OkStatus();
  if (!prefix.ok()) return prefix.status();
  const Status status = provider.CipherOf(identity.native(), *prefix).status();
  if (status.ok() || status.code() == StatusCode::kUnavailable) return status;
  Log(LogLevel::kWarning, "storage.identity_replaced");
  std::error_code error;
  std::filesystem::remove(identity, error);
  return error ? ErrnoStatus(error.value(), "clearing a damaged file of the database") : absl::OkStatus();
}

StatusOr<EncryptedEnv::Manifest> EncryptedEnv::ReadManifest(const std::filesystem::path& database) const {
  Manifest manifest;
  std::string name;
  const auto current = rocksdb::ReadFileToString(env_.get(), database / "CURRENT", &name);
  if (!current.ok())
    return Refusal().ok() ? Unavailable("the database's file CURRENT cannot be read") : Refusal();
  if (!name.ends_with('\n')) return ManifestLost();
  name.pop_back();
  manifest.number = ManifestNumber(name);
  if (manifest.number == 0) return ManifestLost();  // Another file stands in CURRENT's place.
  const auto read = rocksdb::ReadFileToString(env_.get(), database / name, &manifest.content);
  if (read.IsPathNotFound() || read.IsCorruption()) return Refusal().ok() ? ManifestLost() : Refusal();
  if (!read.ok()) return Refusal().ok() ? Unavailable("the database's manifest cannot be read") : Refusal();
  return manifest;
}

Status EncryptedEnv::CheckManifest(const ManifestSeal& seal, Manifest manifest) const {
  // A crash between a new CURRENT and its seal leaves the seal behind.
  if (manifest.number > seal.number) return absl::OkStatus();
  if (manifest.number < seal.number || manifest.content.size() < seal.bytes) return ManifestLost();
  manifest.content.resize(seal.bytes);
  CLOISTER_ASSIGN_OR_RETURN(const DataKey key, provider_->KeyOf(seal.key_id));
  const ManifestState state{manifest.number, seal.bytes, crypto::Sha256(manifest.content)};
  return seal.Fits(key.key->view(), state) ? absl::OkStatus() : ManifestLost();
}

StatusOr<ManifestSeal> EncryptedEnv::ReadSeal() const {
  auto seal = provider_->sealer().Read();
  return seal.status().code() == StatusCode::kNotFound ? ManifestLost() : seal;
}

Status EncryptedEnv::SealCopy(const std::filesystem::path& copy, const ManifestSeal& before,
                              const std::filesystem::path& seal) const {
  CLOISTER_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(copy));
  CLOISTER_RETURN_IF_ERROR(CheckManifest(before, manifest));
  return ManifestSeal::Write(seal, provider_->current(),
                             {manifest.number, manifest.content.size(), crypto::Sha256(manifest.content)});
}

StatusOr<std::unique_ptr<EncryptedEnv>> EncryptedEnv::Open(const EncryptedEnvOptions& options,
                                                           KeySource& keys) {
  const auto provider = std::make_shared<Provider>(keys, options.manifest_seal);
  const std::filesystem::path current = options.database / "CURRENT";
  const auto prefix = ReadPrefix(current);
  const bool exists = prefix.status().code() != StatusCode::kNotFound;
  if (exists && !prefix.ok()) return prefix.status();
  if (exists) {
    if (prefix->starts_with(kPlainCurrent)) {
      return FailedPrecondition(
          "the database was written by a version without file encryption; remove its folder and ingest "
          "again");
    }
    CLOISTER_RETURN_IF_ERROR(
        Annotate(provider->CipherOf(current.native(), *prefix).status(), "the database's file CURRENT"));
  }
  const auto base = rocksdb::FileSystem::Default();
  const auto encrypted = rocksdb::NewEncryptedFS(base, provider);
  CLOISTER_CHECK(encrypted != nullptr);
  auto environment = rocksdb::NewCompositeEnv(
      std::make_shared<StrictFileSystem>(base, encrypted, options.database, provider->sealer()));
  std::unique_ptr<EncryptedEnv> env(new EncryptedEnv(options.database, provider, std::move(environment)));
  if (exists && options.sealed) {
    const auto seal = ManifestSeal::Read(options.manifest_seal);
    if (seal.status().code() == StatusCode::kNotFound || seal.status().code() == StatusCode::kDataLoss)
      return ManifestLost();
    if (!seal.ok()) return seal.status();
    CLOISTER_ASSIGN_OR_RETURN(Manifest manifest, env->ReadManifest(options.database));
    CLOISTER_RETURN_IF_ERROR(env->CheckManifest(*seal, std::move(manifest)));
  }
  CLOISTER_RETURN_IF_ERROR(RemoveBadIdentity(options.database, *provider));
  CLOISTER_RETURN_IF_ERROR(ClearTornLogs(options.database));
  CLOISTER_RETURN_IF_ERROR(RemoveTemporaries(options.database));
  // After the checks, so that a wrong keyring is not given a new key first.
  CLOISTER_RETURN_IF_ERROR(provider->UseCurrent());
  return env;
}

Status EncryptedEnv::UseCurrentKey() { return provider_->UseCurrent(); }
KeyId EncryptedEnv::CurrentKey() const { return provider_->current().id; }
void EncryptedEnv::ForgetFormerKeys() { provider_->ForgetFormer(); }

StatusOr<uint64_t> EncryptedEnv::CountUnderFormerKeys() const {
  const KeyId current = provider_->current().id;
  const auto seal = provider_->sealer().Read();
  uint64_t former = seal.ok() && seal->key_id != current ? 1 : 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(database_, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error) || it->path().extension() == kTornSuffix) continue;
    const auto prefix = ReadPrefix(it->path());
    if (prefix.status().code() == StatusCode::kNotFound) continue;  // It has served and was deleted meanwhile.
    if (!prefix.ok()) return prefix.status();
    const auto key = FilePrefixKeyId(*prefix);
    if (key.ok() && *key != current) ++former;
  }
  if (error) return ErrnoStatus(error.value(), "folder of the database");
  return former;
}

Status EncryptedEnv::RewriteIdentity() const {
  const std::string path = database_ / "IDENTITY";
  // As RocksDB calls what it renames into place, so that it removes what a crash leaves.
  const std::string temporary = database_ / "000000.dbtmp";
  std::string identity;
  rocksdb::Status status = rocksdb::ReadFileToString(env_.get(), path, &identity);
  if (status.IsNotFound() || status.IsPathNotFound()) return absl::OkStatus();
  if (status.ok()) status = rocksdb::WriteStringToFile(env_.get(), identity, temporary, true);
  if (status.ok()) status = env_->RenameFile(temporary, path);
  if (status.ok()) return SyncDirectory(database_);
  if (status.IsNoSpace()) return ResourceExhausted("the disk is full");
  return Unavailable("the database's file IDENTITY cannot be written anew; try again");
}

}  // namespace cloister::storage

// SPDX-License-Identifier: Apache-2.0
// What RocksDB reads and writes its files through: every file encrypted by storage/file_cipher.h, under the
// volume key of the service. For storage/rocksdb_store.cc. Has no switch that turns it off and no path to a
// plaintext file: a file that cannot be encrypted or decrypted is not opened.
//
// Hidden: row keys, column families, values, the sizes and number of rows, the text of options and manifest.
// Still visible to who reads the disk: the number of files, their names (which tell log, table and manifest
// apart and count up), their sizes to the byte, and when each was written. SPEC:
// docs/formats/encrypted-file.md
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <memory>

#include "common/status.h"
#include "storage/encrypted_manifest.h"
#include "storage/key_source.h"

namespace cloister::storage {

// The name of the volume key among the owner's keys of kind kStore.
constexpr std::string_view kVolumeKeyName = "files";

struct EncryptedEnvOptions {
  std::filesystem::path database;       // RocksDB's folder.
  std::filesystem::path manifest_seal;  // See storage/encrypted_manifest.h; outside of that folder.
  // Whether the seal must be there and fit. False for a new database, and for one that its operator opens
  // without knowing what is missing.
  bool sealed = true;
};

// Thread-safe. Must outlive the database that was opened with it.
class EncryptedEnv {
 public:
  // Looks at `database`, RocksDB's folder, before RocksDB does: the key must be there and fit, and files that
  // a crash left shorter than their prefix (they hold nothing) are removed. Makes the volume key at first
  // use. Blocks on `keys`, which must outlive this object; keys fetched are kept. Errors: kDataLoss (the key
  // is gone, another keyring's, or the database's first file is damaged), kFailedPrecondition (written
  // without file encryption, or by a newer version), kUnavailable.
  static StatusOr<std::unique_ptr<EncryptedEnv>> Open(const EncryptedEnvOptions& options, KeySource& keys);
  ~EncryptedEnv();
  rocksdb::Env* env() const;
  // For a copy that RocksDB makes of the open database: the seal as it stands before the copy, and then, once the
  // copy in the folder `copy` is whole, a seal for it at `seal`. The copy's manifest must continue what was sealed
  // before, as at Open. Errors: kDataLoss, kResourceExhausted, kUnavailable.
  StatusOr<ManifestSeal> ReadSeal() const;
  Status SealCopy(const std::filesystem::path& copy, const ManifestSeal& before,
                  const std::filesystem::path& seal) const;
  // After the volume key was replaced. New files are encrypted under the key that holds now. Errors: those of `keys`.
  Status UseCurrentKey();
  KeyId CurrentKey() const;
  // How many files, the seal included, are under another key than new ones; of files that are damaged nothing is said.
  // Errors: kUnavailable.
  StatusOr<uint64_t> CountUnderFormerKeys() const;
  // IDENTITY alone is never written anew by RocksDB. Errors: kResourceExhausted, kUnavailable.
  Status RewriteIdentity() const;
  // Former keys leave the memory of this object.
  void ForgetFormerKeys();
  // Why the last file that was refused was refused; OK when none was. RocksDB passes on only that one was.
  Status Refusal() const;

 private:
  class Provider;
  static Status RemoveBadIdentity(const std::filesystem::path& database, Provider& provider);
  struct Manifest {
    uint64_t number = 0;
    std::string content;
  };
  // What CURRENT of the folder `database` names. Errors: kDataLoss, kUnavailable.
  StatusOr<Manifest> ReadManifest(const std::filesystem::path& database) const;
  Status CheckManifest(const ManifestSeal& seal, Manifest manifest) const;
  EncryptedEnv(std::filesystem::path database, std::shared_ptr<Provider> provider, std::unique_ptr<rocksdb::Env> env);
  const std::filesystem::path database_;
  const std::shared_ptr<Provider> provider_;
  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace cloister::storage

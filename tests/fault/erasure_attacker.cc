// SPDX-License-Identifier: Apache-2.0
// The attacker of tests/fault/erasure_attack: has copies of every file of an appliance from before and after an erasure,
// and keyrings with what opens them. Opens whatever it can and writes it out for somebody else to search. Uses the
// appliance's own code on purpose: nobody knows the formats better.
//
// erasure_attacker OUT PASSPHRASE-FILE CONFIG KEYRING[,KEYRING...] CAPTURE...
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/config.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "keyring/keyring_format.h"
#include "retrieval/rows.h"
#include "services/config_keys.h"
#include "services/keys/anchors.h"
#include "storage/file_cipher.h"
#include "storage/rocksdb_store.h"
#include "storage/sealed_record.h"

namespace cloister {
namespace {

namespace fs = std::filesystem;
using storage::DataKey;
using storage::KeyKind;

constexpr size_t kFileBytesMax = 1024 * 1024 * 1024;
constexpr std::string_view kRecordMagic = "CLSR";
constexpr size_t kLengthAt = 88;  // Of the plaintext's length in a sealed record.
// Families that are no column family: what segment files and their manifest are bound to.
constexpr std::string_view kSegmentFamily = "segment", kManifestFamily = "segment-manifest";

using Keys = std::map<KeyId, std::shared_ptr<const crypto::Secret>>;

// Every key of every keyring that opened, by id, and by owner and name.
struct Loot {
  Keys keys;
  std::map<std::pair<std::string, std::string>, KeyId> named;
};

class LootKeySource final : public storage::KeySource {
 public:
  LootKeySource(const Loot& loot, std::string owner) : loot_(loot), owner_(std::move(owner)) {}
  StatusOr<std::vector<DataKey>> CreateKeys(KeyKind, uint32_t) override { return Unavailable("no new keys here"); }
  StatusOr<DataKey> GetKey(const KeyId& id) override {
    const auto found = loot_.keys.find(id);
    if (found == loot_.keys.end()) return NotFound("no such key");
    return DataKey{found->first, found->second};
  }
  StatusOr<DataKey> GetNamedKey(KeyKind, std::string_view name) override {
    const auto found = loot_.named.find({owner_, std::string(name)});
    if (found == loot_.named.end()) return NotFound("no key of this name");
    return GetKey(found->second);
  }
  StatusOr<storage::Destruction> DestroyKeys(const std::vector<KeyId>&, storage::DestroyFor) override {
    return Unavailable("not here");
  }
  Status NoteRenewed() override { return Unavailable("not here"); }
  StatusOr<storage::Destruction> DestroyFormerKeys() override { return Unavailable("not here"); }
  StatusOr<std::vector<KeyId>> ReplaceKeys(const std::vector<KeyId>&) override { return Unavailable("not here"); }
  StatusOr<std::vector<KeyId>> CurrentKeys(const std::vector<KeyId>& ids) override { return ids; }
  Status ChangeMarks(const std::vector<std::string>&, const std::vector<std::string>&) override {
    return Unavailable("not here");
  }
  StatusOr<std::vector<std::string>> Marks() override { return Unavailable("not here"); }

 private:
  const Loot& loot_;
  const std::string owner_;
};

// What a sealed record may have been bound to.
struct Place {
  DatabaseId database;
  std::string family, row_key;
  auto operator<=>(const Place&) const = default;
};

class Attack {
 public:
  Attack(fs::path out, Loot loot) : out_(std::move(out)), loot_(std::move(loot)) {}

  void Run(const std::vector<fs::path>& captures) {
    for (const fs::path& capture : captures) ReadFiles(capture);
    for (const fs::path& capture : captures) OpenDatabases(capture);
    // A key that a record gives up opens further records.
    while (OpenRecords()) {
    }
    std::printf("%zu files, %zu decrypted; %zu sealed records, %zu opened; %zu places, %zu keys\n", files_.size(),
                decrypted_, records_.size(), opened_, places_.size(), loot_.keys.size());
  }

 private:
  void ReadFiles(const fs::path& capture) {
    for (const auto& entry : fs::recursive_directory_iterator(capture)) {
      if (!entry.is_regular_file()) continue;
      auto bytes = ReadFile(entry.path(), kFileBytesMax);
      if (!bytes.ok() || !files_.insert(crypto::Sha256(entry.path().filename().string() + *bytes)).second) continue;
      NotePlaces(entry.path(), *bytes);
      FindRecords(*bytes);
      Decrypt(entry.path(), *std::move(bytes));
    }
  }

  // A segment is bound to the id that its file is named by, in any database there is.
  void NotePlaces(const fs::path& path, const std::string& bytes) {
    if (path.filename() == "acknowledged" && bytes.size() >= 8 + kIdBytes) {
      const auto id = DatabaseId::FromBytes(std::string_view(bytes).substr(8, kIdBytes));
      if (id.ok()) databases_.insert(*id);
    }
    if (path.filename() == "MANIFEST") loose_.insert({std::string(kManifestFamily), "MANIFEST"});
    if (path.extension() == ".segment") {
      const auto id = HexDecode(path.stem().string());
      if (id.ok()) loose_.insert({std::string(kSegmentFamily), *id});
    }
  }

  void Decrypt(const fs::path& path, std::string bytes) {
    if (bytes.size() < storage::kFilePrefixBytes) return;
    const std::string prefix = bytes.substr(0, storage::kFilePrefixBytes);
    const auto id = storage::FilePrefixKeyId(prefix);
    if (!id.ok() || !loot_.keys.contains(*id)) return;
    const auto cipher =
        storage::FileCipher::Open(loot_.keys.at(*id)->view(), path.filename().string(), prefix);
    if (!cipher.ok()) return;
    bytes.erase(0, storage::kFilePrefixBytes);
    (*cipher)->Apply(0, bytes.data(), bytes.size());
    ++decrypted_;
    FindRecords(bytes);
    WriteOut("file", bytes);
  }

  void FindRecords(std::string_view bytes) {
    for (size_t at = bytes.find(kRecordMagic); at != bytes.npos; at = bytes.find(kRecordMagic, at + 1)) {
      if (bytes.size() - at < storage::kRecordHeaderBytes) return;
      ByteReader length(bytes.substr(at + kLengthAt, 8));
      const uint64_t plaintext = length.U64();
      if (plaintext > storage::kPlaintextBytesMax) continue;
      const uint64_t frames = std::max<uint64_t>(1, (plaintext + storage::kFrameBytes - 1) / storage::kFrameBytes);
      const uint64_t size = storage::kRecordHeaderBytes + plaintext + frames * 16;
      if (size <= bytes.size() - at) records_.insert(std::string(bytes.substr(at, size)));
    }
  }

  // A database that opens tells where each of its records belongs.
  void OpenDatabases(const fs::path& capture) {
    for (const auto& [owner, folder, families] :
         {std::tuple<std::string, fs::path, std::vector<std::string>>{"retrieval", "retrieval/db",
                                                                      retrieval::ColumnFamilies()},
          {"audit", "audit/sections", {"people", "forgetting", "sections", "section_keys", "gone-documents"}},
          {"ingest", "ingest/jobs", {"jobs"}},
          {"gateway", "gateway/store", {"users", "api_keys", "tls"}}}) {
      if (!fs::exists(capture / folder)) continue;
      LootKeySource keys(loot_, owner);
      storage::RocksDbStoreOptions options;
      options.directory = capture / folder;
      options.column_families = families;
      options.keys = &keys;
      const auto store = storage::RocksDbStore::Open(options);
      if (!store.ok()) {
        std::printf("%s of a capture stays closed: %s\n", owner.c_str(), MessageOf(store.status()).c_str());
        continue;
      }
      databases_.insert((*store)->database_id());
      const auto snapshot = (*store)->GetSnapshot();
      for (const std::string& family : families) {
        snapshot
            ->Scan(family, "",
                   [&](std::string_view row_key, std::string_view record) {
                     places_.insert({(*store)->database_id(), family, std::string(row_key)});
                     records_.insert(std::string(record));
                     return true;
                   })
            .IgnoreError();
      }
    }
  }

  // True when a new key came out.
  bool OpenRecords() {
    for (const DatabaseId& database : databases_) {
      for (const auto& [family, row_key] : loose_) places_.insert({database, family, row_key});
    }
    const size_t keys_before = loot_.keys.size();
    std::set<std::string> closed;
    for (const std::string& record : records_) {
      if (!TryRecord(record)) closed.insert(record);
    }
    opened_ += records_.size() - closed.size();
    done_.insert(records_.begin(), records_.end());
    records_ = std::move(closed);
    return loot_.keys.size() > keys_before;
  }

  bool TryRecord(const std::string& record) {
    const auto named = storage::RecordKeyId(record);
    if (!named.ok()) return false;
    // The key it names, and for good measure every other: a wrong one is told by the commitment at the first place.
    std::vector<const crypto::Secret*> candidates;
    if (const auto found = loot_.keys.find(*named); found != loot_.keys.end()) candidates.push_back(found->second.get());
    if (candidates.empty()) {
      for (const auto& [id, key] : loot_.keys) {
        if (Fits(*key, record)) candidates.push_back(key.get());
      }
    }
    for (const crypto::Secret* key : candidates) {
      for (const Place& place : places_) {
        const auto opened =
            storage::OpenRecord(key->view(), {place.database, place.family, place.row_key}, record);
        if (!opened.ok()) continue;
        Take(place, *opened);
        return true;
      }
    }
    return false;
  }

  static bool Fits(const crypto::Secret& key, const std::string& record) {
    const Status status = storage::OpenRecord(key.view(), {DatabaseId(), "", ""}, record).status();
    return status.ok() || MessageOf(status).find("does not belong to this key") == std::string::npos;
  }

  // A section's key record holds the key of the section; see services/audit/sections.cc.
  void Take(const Place& place, const std::string& plaintext) {
    WriteOut(place.family, plaintext);
    if (place.family != "section_keys") return;
    ByteReader in(plaintext);
    in.U8();
    in.Raw(32);
    const std::string_view key = in.Raw(32);
    const auto id = KeyId::FromBytes(place.row_key);
    if (!in.failed() && id.ok()) loot_.keys.emplace(*id, std::make_shared<const crypto::Secret>(key));
  }

  void WriteOut(const std::string& kind, const std::string& bytes) {
    char name[64];
    std::snprintf(name, sizeof name, "%06zu-%s", written_++, kind.c_str());
    CLOISTER_CHECK(WriteFileAtomic(out_ / name, bytes, 0600).ok());
  }

  const fs::path out_;
  Loot loot_;
  std::set<std::string> files_;    // Digests of those read.
  std::set<std::string> records_;  // Sealed, not opened yet.
  std::set<std::string> done_;
  std::set<DatabaseId> databases_;
  std::set<std::pair<std::string, std::string>> loose_;  // Family and row key in whichever database.
  std::set<Place> places_;
  size_t decrypted_ = 0, opened_ = 0, written_ = 0;
};

// Everything in one keyring, when passphrase or device opens it.
Status Plunder(const fs::path& path, const Config& config, std::string_view passphrase, Loot& loot) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string file, ReadFile(path, kFileBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(const keyring::KeyringHeader header, keyring::ParseKeyringHeader(file));
  CLOISTER_ASSIGN_OR_RETURN(const auto anchor, services::MakeAnchor(header.anchor, config, passphrase));
  CLOISTER_ASSIGN_OR_RETURN(
      const crypto::Secret epoch_key,
      anchor->Open(header.location, keyring::EpochContext(header.appliance, header.epoch)));
  CLOISTER_ASSIGN_OR_RETURN(const keyring::KeyringTable table, keyring::OpenKeyringTable(epoch_key, file));
  const crypto::Secret entries_key = keyring::EntriesKey(epoch_key);
  for (const auto& [id, entry] : table.entries) {
    CLOISTER_ASSIGN_OR_RETURN(crypto::Secret key, keyring::UnwrapKey(entries_key, header, id, entry));
    loot.keys.emplace(id, std::make_shared<const crypto::Secret>(std::move(key)));
    if (!entry.name.empty()) loot.named.insert_or_assign(std::pair(entry.owner, entry.name), id);
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: erasure_attacker OUT PASSPHRASE-FILE CONFIG KEYRING[,KEYRING...] CAPTURE...\n");
    return 2;
  }
  std::string passphrase = ReadFile(argv[2], 4096).value_or("");
  while (!passphrase.empty() && passphrase.back() == '\n') passphrase.pop_back();
  const auto config = Config::Parse(ReadFile(argv[3], 1 << 20).value_or(""), services::AllConfigKeys(), {});
  if (!config.ok()) {
    std::fprintf(stderr, "%s\n", MessageOf(config.status()).c_str());
    return 2;
  }
  Loot loot;
  std::string list = argv[4];
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    const std::string path = list.substr(at, end - at);
    const Status status = Plunder(path, *config, passphrase, loot);
    std::printf("keyring %s: %s\n", path.c_str(), status.ok() ? "open" : MessageOf(status).c_str());
    at = end + 1;
  }
  Attack(argv[1], std::move(loot)).Run({argv + 5, argv + argc});
  return 0;
}

}  // namespace
}  // namespace cloister

int main(int argc, char** argv) { return cloister::Main(argc, argv); }

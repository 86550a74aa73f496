// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/credentials.h"

#include <algorithm>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "storage/resealing.h"

namespace cloister::services {
namespace {

constexpr uint8_t kUserRowVersion = 1;
constexpr uint8_t kKeyRowVersion = 1;
constexpr size_t kTokenIdBytes = 8;
constexpr size_t kTokenSecretBytes = 32;
constexpr std::string_view kTokenPrefix = "clk_";
constexpr size_t kTokenBytes = kTokenPrefix.size() + 2 * kTokenIdBytes + 1 + 2 * kTokenSecretBytes;
constexpr size_t kNameBytesMax = 256;

std::string SerialiseUser(const UserCredentials& user) {
  ByteWriter out;
  out.U8(kUserRowVersion);
  out.String(user.name);
  out.String(user.password_phc);
  out.U32(static_cast<uint32_t>(user.roles.size()));
  for (const std::string& role : user.roles) out.String(role);
  return out.Take();
}

StatusOr<UserCredentials> ParseUser(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.U8() != kUserRowVersion) return FailedPrecondition("a user row has a format this version does not know");
  UserCredentials user;
  user.name = in.String();
  user.password_phc = in.String();
  const uint32_t roles = in.Count(4);
  for (uint32_t i = 0; i < roles; ++i) user.roles.insert(std::string(in.String()));
  CLOISTER_RETURN_IF_ERROR(in.Finish("user row"));
  return user;
}

std::string SerialiseKey(const ApiKey& key) {
  ByteWriter out;
  out.U8(kKeyRowVersion);
  out.String(key.id);
  out.String(key.user);
  out.String(key.application);
  out.U64(static_cast<uint64_t>(key.created_at_ns));
  out.String(key.secret_sha256);
  return out.Take();
}

StatusOr<ApiKey> ParseKey(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.U8() != kKeyRowVersion) return FailedPrecondition("a key row has a format this version does not know");
  ApiKey key;
  key.id = in.String();
  key.user = in.String();
  key.application = in.String();
  key.created_at_ns = static_cast<int64_t>(in.U64());
  key.secret_sha256 = in.String();
  CLOISTER_RETURN_IF_ERROR(in.Finish("key row"));
  return key;
}

}  // namespace

storage::StoreToExamine CredentialsToExamine() {
  storage::StoreToExamine what{"store", {}, {}, "add again who is lost: `cloister user add`, `cloister key create`"};
  for (const std::string_view family : kCredentialColumnFamilies) {
    what.rows.column_families.emplace_back(family);
    what.expendable.emplace(family);
  }
  return what;
}

StatusOr<std::unique_ptr<CredentialStore>> CredentialStore::Open(storage::KvStore& store,
                                                                 const storage::SealedStore& sealed,
                                                                 storage::DataKey row_key, const Clock& clock) {
  auto opened = std::unique_ptr<CredentialStore>(new CredentialStore(store, sealed, std::move(row_key), clock));
  CLOISTER_RETURN_IF_ERROR(opened->Load());
  return opened;
}

Status CredentialStore::Load() {
  const auto snapshot = store_.GetSnapshot();
  Status failed;
  CLOISTER_RETURN_IF_ERROR(sealed_.Scan(*snapshot, "users", "", [&](std::string_view row, std::string_view plain) {
    StatusOr<PrincipalId> id = PrincipalId::FromBytes(row);
    StatusOr<UserCredentials> user = ParseUser(plain);
    failed = !id.ok() ? id.status() : user.status();
    if (failed.ok()) users_[user->name] = UserRow{*id, *user};
    return failed.ok();
  }));
  CLOISTER_RETURN_IF_ERROR(failed);
  CLOISTER_RETURN_IF_ERROR(sealed_.Scan(*snapshot, "api_keys", "", [&](std::string_view, std::string_view plain) {
    StatusOr<ApiKey> key = ParseKey(plain);
    failed = key.status();
    if (failed.ok()) keys_[key->id] = *key;
    return failed.ok();
  }));
  return failed;
}

Status CredentialStore::PutUser(const std::string& name, const std::set<std::string>& roles,
                                const std::optional<std::string>& password_phc) {
  std::lock_guard write_lock(write_mutex_);
  UserRow row;
  {
    std::lock_guard lock(mutex_);
    const auto found = users_.find(name);
    if (found == users_.end() && users_.size() >= kUsersMax) return ResourceExhausted("there are too many users");
    row = found == users_.end() ? UserRow{crypto::RandomId<PrincipalId>(), {}} : found->second;
  }
  row.credentials.name = name;
  row.credentials.roles = roles;
  if (password_phc.has_value()) row.credentials.password_phc = *password_phc;
  storage::WriteBatch batch;
  CLOISTER_RETURN_IF_ERROR(sealed_.Put(batch, "users", row.id.bytes(), row_key_, SerialiseUser(row.credentials)));
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  std::lock_guard lock(mutex_);
  users_[name] = std::move(row);
  return absl::OkStatus();
}

StatusOr<bool> CredentialStore::DeleteUser(const std::string& name) {
  std::lock_guard write_lock(write_mutex_);
  storage::WriteBatch batch;
  {
    std::lock_guard lock(mutex_);
    const auto found = users_.find(name);
    if (found == users_.end()) return false;
    batch.Delete("users", found->second.id.bytes());
    for (const auto& [id, key] : keys_) {
      if (key.user == name) batch.Delete("api_keys", id);
    }
  }
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  std::lock_guard lock(mutex_);
  users_.erase(name);
  std::erase_if(keys_, [&](const auto& entry) { return entry.second.user == name; });
  return true;
}

std::optional<UserCredentials> CredentialStore::FindUser(const std::string& name) const {
  std::lock_guard lock(mutex_);
  const auto found = users_.find(name);
  if (found == users_.end()) return std::nullopt;
  return found->second.credentials;
}

StatusOr<NewApiKey> CredentialStore::CreateKey(const std::string& user, const std::string& application) {
  std::lock_guard write_lock(write_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (!users_.contains(user)) return NotFound("there is no such user");
    const auto own = std::count_if(keys_.begin(), keys_.end(), [&](const auto& e) { return e.second.user == user; });
    if (keys_.size() >= kApiKeysMax || own >= static_cast<long>(kApiKeysPerUserMax)) {
      return ResourceExhausted("too many API keys; revoke one first");
    }
  }
  NewApiKey made;
  const crypto::Secret secret = crypto::RandomSecret(kTokenSecretBytes);
  std::string hex = HexEncode(secret.view());
  made.key = ApiKey{HexEncode(crypto::RandomBytes(kTokenIdBytes)), user, application,
                    clock_.Now().time_since_epoch().count(), crypto::Sha256(secret.view())};
  std::string token = std::string(kTokenPrefix) + made.key.id + "_" + hex;
  made.token = crypto::Secret(token);
  crypto::Wipe(hex.data(), hex.size());
  crypto::Wipe(token.data(), token.size());
  storage::WriteBatch batch;
  CLOISTER_RETURN_IF_ERROR(sealed_.Put(batch, "api_keys", made.key.id, row_key_, SerialiseKey(made.key)));
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  std::lock_guard lock(mutex_);
  keys_[made.key.id] = made.key;
  return made;
}

StatusOr<bool> CredentialStore::RevokeKey(const std::string& id) {
  std::lock_guard write_lock(write_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (!keys_.contains(id)) return false;
  }
  storage::WriteBatch batch;
  batch.Delete("api_keys", id);
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  std::lock_guard lock(mutex_);
  keys_.erase(id);
  return true;
}

std::vector<ApiKey> CredentialStore::ListKeys() const {
  std::lock_guard lock(mutex_);
  std::vector<ApiKey> keys;
  for (const auto& [id, key] : keys_) keys.push_back(key);
  std::sort(keys.begin(), keys.end(), [](const ApiKey& a, const ApiKey& b) {
    return std::tie(a.created_at_ns, a.id) < std::tie(b.created_at_ns, b.id);
  });
  return keys;
}

StatusOr<uint64_t> CredentialStore::Renew(storage::KeySource& keys, storage::DataKey row_key,
                                          const DatabaseId& database, const std::function<Status()>& go_on) {
  {
    std::lock_guard write_lock(write_mutex_);
    row_key_ = std::move(row_key);
  }
  const auto change = [this](const std::function<StatusOr<storage::WriteBatch>()>& make) -> Status {
    std::lock_guard write_lock(write_mutex_);
    CLOISTER_ASSIGN_OR_RETURN(const storage::WriteBatch batch, make());
    return store_.Write(batch);
  };
  std::vector<std::string> families(std::begin(kCredentialColumnFamilies), std::end(kCredentialColumnFamilies));
  CLOISTER_ASSIGN_OR_RETURN(const storage::Resealed done,
                            storage::ResealRows({store_, database, keys, std::move(families), change, go_on}));
  return done.rows;
}

StatusOr<ApiKey> CredentialStore::CheckToken(std::string_view token) const {
  const Status wrong = Unauthenticated("the API key is not valid");
  if (token.size() != kTokenBytes || !token.starts_with(kTokenPrefix)) return wrong;
  const std::string id(token.substr(kTokenPrefix.size(), 2 * kTokenIdBytes));
  const std::string_view rest = token.substr(kTokenPrefix.size() + 2 * kTokenIdBytes);
  if (rest[0] != '_') return wrong;
  StatusOr<std::string> secret = HexDecode(rest.substr(1));
  if (!secret.ok()) return wrong;
  const std::string digest = crypto::Sha256(*secret);
  crypto::Wipe(secret->data(), secret->size());
  std::lock_guard lock(mutex_);
  const auto found = keys_.find(id);
  if (found == keys_.end()) return wrong;
  if (!crypto::ConstantTimeEqual(found->second.secret_sha256, digest)) return wrong;
  return found->second;
}

StatusOr<std::string> HashUserPassword(std::string_view password, const crypto::Argon2Cost& cost) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax) {
    return InvalidArgument("a password has " + std::to_string(kPasswordBytesMin) + " to " +
                           std::to_string(kPasswordBytesMax) + " bytes");
  }
  for (unsigned char c : password) {
    if (c < 0x20 || c == 0x7f) return InvalidArgument("a password has no control characters");
  }
  return crypto::HashPassword(password, cost);
}

Status CheckName(std::string_view what, std::string_view name) {
  const bool allowed = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '@' || c == '-';
  });
  if (allowed && !name.empty() && name.size() <= kNameBytesMax) return absl::OkStatus();
  return InvalidArgument("the name of a " + std::string(what) + " is 1 to " + std::to_string(kNameBytesMax) +
                         " characters of a-z, 0-9, dot, underscore, at and hyphen");
}

StatusOr<std::set<std::string>> CheckRoles(const std::vector<std::string>& roles) {
  static constexpr const char* kKnown[] = {kRoleAdministrator, kRoleKnowledgeManager, kRoleAuditor, kRoleCompliance};
  std::set<std::string> checked;
  for (const std::string& role : roles) {
    if (std::find(std::begin(kKnown), std::end(kKnown), role) == std::end(kKnown)) {
      return InvalidArgument("the roles there are: administrator, knowledge-manager, auditor, compliance");
    }
    checked.insert(role);
  }
  return checked;
}

}  // namespace cloister::services

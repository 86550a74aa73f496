// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/authentication.h"

#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "common/log.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "services/gateway/http_error.h"

namespace cloister::services {
namespace {

constexpr size_t kAuthorizationBytesMax = 4096;

Status Wrong() {
  return WithFacts(Unauthenticated("the credentials are not valid"), {"INVALID_CREDENTIALS", "", 0, 0});
}

Status Locked(std::chrono::seconds wait) {
  const auto seconds = static_cast<uint32_t>(wait.count());
  return WithFacts(ResourceExhausted("too many failed attempts; try again in " + std::to_string(seconds) + " s"),
                   {"LOCKED", "", 0, seconds});
}

// Case-insensitive "Bearer " and the like; what follows it, without spaces around it.
std::optional<std::string_view> AfterScheme(std::string_view value, std::string_view scheme) {
  if (value.size() <= scheme.size() || value[scheme.size()] != ' ') return std::nullopt;
  for (size_t i = 0; i < scheme.size(); ++i) {
    const char c = value[i] >= 'A' && value[i] <= 'Z' ? static_cast<char>(value[i] + 32) : value[i];
    if (c != scheme[i]) return std::nullopt;
  }
  value.remove_prefix(scheme.size() + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return value;
}

std::string ZoneOf(const HttpRequest& request) {
  const bool loopback = request.remote_address.starts_with("127.") || request.remote_address == "::1";
  return request.local || loopback ? "local" : "network";
}

}  // namespace

StatusOr<std::unique_ptr<Authenticator>> Authenticator::New(const CredentialStore& credentials,
                                                            const AuditClient& audit, const Clock& clock,
                                                            uint32_t owner_uid, const crypto::Argon2Cost& cost) {
  auto made = std::unique_ptr<Authenticator>(new Authenticator(credentials, audit, clock, owner_uid));
  CLOISTER_ASSIGN_OR_RETURN(made->dummy_phc_, crypto::HashPassword(HexEncode(crypto::RandomBytes(16)), cost));
  made->memory_secret_ = crypto::RandomSecret(32);
  return made;
}

StatusOr<Caller> Authenticator::Authenticate(const HttpRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(const auto header, request.Header("authorization"));
  if (!header.has_value()) {
    if (request.local && request.peer_uid.has_value() &&
        (*request.peer_uid == owner_uid_ || *request.peer_uid == 0)) {
      return Caller{kLocalAdministrator, {kRoleAdministrator}, "cloister-cli", "peer", "local"};
    }
    return WithFacts(Unauthenticated("send an API key as 'Authorization: Bearer clk_...'"),
                     {"MISSING_CREDENTIALS", "", 0, 0});
  }
  if (header->size() > kAuthorizationBytesMax) return InvalidArgument("the Authorization header is too long");
  if (const auto token = AfterScheme(*header, "bearer")) return WithBearer(*token, request);
  if (const auto encoded = AfterScheme(*header, "basic")) return WithPassword(*encoded, request);
  ++failures_;
  return WithFacts(Unauthenticated("send an API key as 'Authorization: Bearer clk_...', or user and password as Basic"),
                   {"INVALID_CREDENTIALS", "", 0, 0});
}

StatusOr<Caller> Authenticator::WithBearer(std::string_view token, const HttpRequest& request) {
  StatusOr<ApiKey> key = credentials_.CheckToken(token);
  std::optional<UserCredentials> user;
  if (key.ok()) user = credentials_.FindUser(key->user);
  if (!user.has_value()) {
    RecordFailure("auth.failed", "api-key", "", request);
    return Wrong();
  }
  return Caller{key->user, user->roles, key->application, "api-key", ZoneOf(request)};
}

StatusOr<Caller> Authenticator::WithPassword(std::string_view encoded, const HttpRequest& request) {
  StatusOr<std::string> decoded = Base64Decode(encoded);
  const size_t colon = decoded.ok() ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos || !IsUtf8(*decoded)) {
    RecordFailure("auth.failed", "password", "", request);
    return Wrong();
  }
  const std::string user = decoded->substr(0, colon);
  if (!CheckName("user", user).ok() || decoded->size() - colon - 1 > kPasswordBytesMax) {
    RecordFailure("auth.failed", "password", "", request);
    return Wrong();
  }
  if (const auto wait = throttle_.LockedFor(user); wait.count() > 0) return Locked(wait);
  const Status checked = CheckUserPassword(user, std::string_view(*decoded).substr(colon + 1));
  crypto::Wipe(decoded->data(), decoded->size());
  if (checked.code() == StatusCode::kUnauthenticated) {
    const bool locked = throttle_.Failed(user);
    RecordFailure(locked ? "auth.locked" : "auth.failed", "password", user, request);
    return Wrong();
  }
  CLOISTER_RETURN_IF_ERROR(checked);
  throttle_.Succeeded(user);
  const auto credentials = credentials_.FindUser(user);
  if (!credentials.has_value()) return Wrong();
  return Caller{user, credentials->roles, request.local ? "cloister-cli" : "https", "password", ZoneOf(request)};
}

Status Authenticator::CheckUserPassword(const std::string& user, std::string_view password) {
  const auto credentials = credentials_.FindUser(user);
  const bool has_password = credentials.has_value() && !credentials->password_phc.empty();
  const std::string& phc = has_password ? credentials->password_phc : dummy_phc_;
  // The hash is part of the memory's key, so a changed password is forgotten.
  std::string message = user + '\0' + phc + '\0' + std::string(password);
  const std::string memory_key = crypto::HmacSha256(memory_secret_.view(), message);
  crypto::Wipe(message.data(), message.size());
  if (has_password && Remembered(memory_key)) return absl::OkStatus();
  if (!password_checks_.try_acquire_for(kPasswordCheckWait)) {
    return WithFacts(ResourceExhausted("too many logins at once; try again shortly"), {"OVERLOADED", "", 0, 2});
  }
  const Status checked = crypto::CheckPassword(phc, password);
  password_checks_.release();
  if (!has_password) return Unauthenticated("no such user or no password");
  if (checked.ok()) Remember(memory_key);
  return checked;
}

bool Authenticator::Remembered(const std::string& memory_key) {
  std::lock_guard lock(mutex_);
  const auto found = remembered_.find(memory_key);
  return found != remembered_.end() && found->second > clock_.Monotonic();
}

void Authenticator::Remember(const std::string& memory_key) {
  std::lock_guard lock(mutex_);
  const auto now = clock_.Monotonic();
  if (remembered_.size() >= kPasswordMemoryMax) {
    std::erase_if(remembered_, [now](const auto& entry) { return entry.second <= now; });
  }
  if (remembered_.size() < kPasswordMemoryMax) remembered_[memory_key] = now + kPasswordMemory;
}

void Authenticator::RecordFailure(std::string_view event, std::string_view method, const std::string& user,
                                  const HttpRequest& request) {
  ++failures_;
  int64_t suppressed = 0;
  {
    std::lock_guard lock(mutex_);
    const auto now = clock_.Monotonic();
    const double passed = std::chrono::duration<double>(now - record_time_).count();
    record_tokens_ = std::min(kFailureRecordsBurst, record_tokens_ + passed * kFailureRecordsPerSecond);
    record_time_ = now;
    // A lock is always recorded: the throttle itself bounds how often that happens to a name.
    if (event == "auth.failed" && record_tokens_ < 1) {
      ++suppressed_;
      return;
    }
    record_tokens_ = std::max(0.0, record_tokens_ - 1);
    suppressed = std::exchange(suppressed_, 0);
  }
  v1::AppendRequest record;
  record.set_event(std::string(event));
  nlohmann::json body{{"method", method}, {"zone", ZoneOf(request)}};
  if (suppressed > 0) body["suppressed_before"] = suppressed;
  record.set_body_json(body.dump());
  record.set_actor_kind("service");
  record.set_actor("gateway");
  // The name that was tried may be anybody's, or a password typed into the wrong field: it goes into a section, and
  // only when such a user exists.
  if (!user.empty() && credentials_.FindUser(user).has_value()) {
    v1::SectionInput* section = record.add_sections();
    section->set_subject_kind("user");
    section->set_subject(user);
    section->set_content_json(
        nlohmann::json{{"user", user}, {"remote_address", request.remote_address}}.dump());
  }
  // The request is refused whether or not this is recorded: nothing leaves.
  const auto index = audit_.Append(record);
  if (!index.ok()) LogStatus(LogLevel::kWarning, "audit.append_failed", index.status());
}

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
#include "crypto/password.h"

#include <argon2.h>

#include <charconv>
#include <optional>

#include "common/bytes.h"
#include "crypto/random.h"

namespace cloister::crypto {
namespace {

constexpr size_t kSaltBytesMin = 16;
constexpr size_t kSaltBytesMax = 64;
constexpr size_t kHashBytes = 32;
constexpr std::string_view kPhcPrefix = "$argon2id$v=19$m=";

bool InBounds(const Argon2Cost& cost) {
  return cost.passes >= 1 && cost.passes <= kArgon2PassesMax && cost.lanes >= 1 &&
         cost.lanes <= kArgon2LanesMax && cost.memory_kib >= 8 * cost.lanes &&
         cost.memory_kib <= kArgon2MemoryKibMax;
}

StatusOr<Secret> Hash(std::string_view password, std::string_view salt, const Argon2Cost& cost) {
  Secret out(kHashBytes);
  const int error = argon2id_hash_raw(cost.passes, cost.memory_kib, cost.lanes, password.data(),
                                      password.size(), salt.data(), salt.size(), out.data(), out.size());
  if (error == ARGON2_MEMORY_ALLOCATION_ERROR || error == ARGON2_THREAD_FAIL) {
    return ResourceExhausted("not enough memory or threads for Argon2id; free some or lower its cost");
  }
  // Everything else is an input that the callers have checked.
  CLOISTER_CHECK(error == ARGON2_OK);
  return out;
}

// PHC strings use base64 without padding.
std::string WithoutPadding(std::string text) {
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::optional<std::string> DecodeUnpadded(std::string_view text) {
  if (text.find('=') != std::string_view::npos) return std::nullopt;
  std::string padded(text);
  padded.append((4 - padded.size() % 4) % 4, '=');
  auto bytes = Base64Decode(padded);
  if (!bytes.ok()) return std::nullopt;
  return *std::move(bytes);
}

// Takes the decimal number at the start of `text` and the literal that follows it.
bool TakeNumber(std::string_view& text, std::string_view then, uint32_t& out) {
  // A leading zero or sign would give one cost a second spelling.
  if (text.empty() || text[0] < '1' || text[0] > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (!text.starts_with(then)) return false;
  text.remove_prefix(then.size());
  return true;
}

struct PhcString {
  Argon2Cost cost;
  std::string salt;
  std::string hash;
};

std::optional<PhcString> ParsePhc(std::string_view text) {
  PhcString phc;
  if (!text.starts_with(kPhcPrefix)) return std::nullopt;
  text.remove_prefix(kPhcPrefix.size());
  if (!TakeNumber(text, ",t=", phc.cost.memory_kib) || !TakeNumber(text, ",p=", phc.cost.passes) ||
      !TakeNumber(text, "$", phc.cost.lanes) || !InBounds(phc.cost)) {
    return std::nullopt;
  }
  const size_t dollar = text.find('$');
  if (dollar == std::string_view::npos) return std::nullopt;
  auto salt = DecodeUnpadded(text.substr(0, dollar));
  auto hash = DecodeUnpadded(text.substr(dollar + 1));
  if (!salt || salt->size() < kSaltBytesMin || salt->size() > kSaltBytesMax) return std::nullopt;
  if (!hash || hash->size() != kHashBytes) return std::nullopt;
  phc.salt = *std::move(salt);
  phc.hash = *std::move(hash);
  return phc;
}

}  // namespace

StatusOr<Secret> KeyFromPassphrase(std::string_view passphrase, std::string_view salt,
                                   const Argon2Cost& cost) {
  if (passphrase.size() > kPassphraseBytesMax)
    return InvalidArgument("the passphrase has more than 1024 bytes");
  if (salt.size() < kSaltBytesMin || salt.size() > kSaltBytesMax) {
    return InvalidArgument("the Argon2id salt must have 16 to 64 bytes");
  }
  if (!InBounds(cost)) return InvalidArgument("the Argon2id cost is out of bounds");
  return Hash(passphrase, salt, cost);
}

StatusOr<std::string> HashPassword(std::string_view password, const Argon2Cost& cost) {
  if (password.size() > kPassphraseBytesMax) return InvalidArgument("the password has more than 1024 bytes");
  if (!InBounds(cost)) return InvalidArgument("the Argon2id cost is out of bounds");
  const std::string salt = RandomBytes(kSaltBytesMin);
  CLOISTER_ASSIGN_OR_RETURN(const Secret hash, Hash(password, salt, cost));
  return std::string(kPhcPrefix) + std::to_string(cost.memory_kib) + ",t=" + std::to_string(cost.passes) +
         ",p=" + std::to_string(cost.lanes) + "$" + WithoutPadding(Base64Encode(salt)) + "$" +
         WithoutPadding(Base64Encode(hash.view()));
}

Status CheckPassword(std::string_view phc, std::string_view password) {
  const std::optional<PhcString> parsed = ParsePhc(phc);
  if (!parsed) return DataLoss("a stored password hash is malformed or its cost is out of bounds");
  if (password.size() > kPassphraseBytesMax) return Unauthenticated("wrong password");
  CLOISTER_ASSIGN_OR_RETURN(const Secret hash, Hash(password, parsed->salt, parsed->cost));
  return ConstantTimeEqual(hash.view(), parsed->hash) ? absl::OkStatus() : Unauthenticated("wrong password");
}

}  // namespace cloister::crypto

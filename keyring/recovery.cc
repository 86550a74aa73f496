// SPDX-License-Identifier: Apache-2.0
#include "keyring/recovery.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "crypto/random.h"

namespace cloister::keyring {
namespace {

constexpr std::string_view kMark = "cloister-share-1";
constexpr std::string_view kChecksumPurpose = "cloister/v1/share";
constexpr size_t kSetMarkBytes = 4;
constexpr size_t kChecksumBytes = 5;  // A mistyped share passes once in 2^40.
constexpr size_t kDigitsPerGroup = 4;
// Of 32 bytes and of 5: five bits each.
constexpr size_t kShareDigits = 52;
constexpr size_t kChecksumDigits = 8;
// Without i, l, o and u, which are read as something else.
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

// Base 32, most significant bit first; the bits that fill the last digit are zero. `out` has DigitsOf(bytes)
// places.
void Encode(std::string_view bytes, char* out) {
  uint32_t bits = 0;
  int held = 0;
  for (const char byte : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(byte);
    for (held += 8; held >= 5; held -= 5) *out++ = kAlphabet[(bits >> (held - 5)) & 31];
  }
  if (held > 0) *out = kAlphabet[(bits << (5 - held)) & 31];
}

int DigitOf(char c) {
  if (c == 'o') return 0;
  if (c == 'i' || c == 'l') return 1;
  const size_t at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// `digits` holds digits only. False when the bits that fill the last digit are not zero.
bool Decode(std::string_view digits, char* out) {
  uint32_t bits = 0;
  int held = 0;
  for (const char c : digits) {
    bits = (bits << 5) | static_cast<uint32_t>(DigitOf(c));
    held += 5;
    if (held < 8) continue;
    held -= 8;
    *out++ = static_cast<char>((bits >> held) & 255);
  }
  return (bits & ((1u << held) - 1)) == 0;
}

// Over everything a share says, so that a wrong number is found like a wrong digit.
std::string Checksum(const RecoveryShare& share) {
  crypto::Secret text(kChecksumPurpose.size() + kSetMarkBytes + 3 + kEpochKeyBytes);
  ByteWriter head;
  head.Raw(kChecksumPurpose);
  head.Raw(share.set_mark);
  head.U8(share.threshold);
  head.U8(share.shares);
  head.U8(share.share.x);
  std::copy(head.bytes().begin(), head.bytes().end(), text.data());
  std::copy(share.share.y.view().begin(), share.share.y.view().end(), text.data() + head.bytes().size());
  return crypto::Sha256(text.view()).substr(0, kChecksumBytes);
}

crypto::Secret TextOf(const RecoveryShare& share) {
  const std::string head = std::string(kMark) + " " + HexEncode(share.set_mark) + " " +
                           std::to_string(share.threshold) + "-of-" + std::to_string(share.shares) + " " +
                           std::to_string(share.share.x) + " ";
  std::array<char, kShareDigits + kChecksumDigits> digits;
  Encode(share.share.y.view(), digits.data());
  Encode(Checksum(share), digits.data() + kShareDigits);
  crypto::Secret text(head.size() + digits.size() + digits.size() / kDigitsPerGroup - 1);
  char* out = std::copy(head.begin(), head.end(), text.data());
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i == kShareDigits) {
      *out++ = ' ';
    } else if (i > 0 && i % kDigitsPerGroup == 0) {
      *out++ = '-';
    }
    *out++ = digits[i];
  }
  crypto::Wipe(digits.data(), digits.size());
  return text;
}

// The words of a share in lower case, then the digits with everything between them left out.
class ShareReader {
 public:
  explicit ShareReader(std::string_view text) : rest_(text) {}
  // In lower case; these parts are not secret.
  std::string Word() {
    while (!rest_.empty() && IsBlank(rest_.front())) rest_.remove_prefix(1);
    std::string word;
    for (; !rest_.empty() && !IsBlank(rest_.front()); rest_.remove_prefix(1)) word += Lower(rest_.front());
    return word;
  }
  // Errors: kInvalidArgument.
  Status Digits(crypto::Secret& out) {
    size_t count = 0;
    for (const char c : rest_) {
      if (IsBlank(c) || c == '-') continue;
      const char digit = Lower(c);
      if (DigitOf(digit) < 0) {
        return InvalidArgument("the share has a character that no share has, in group " +
                               std::to_string(count / kDigitsPerGroup + 1));
      }
      if (count < out.size()) out.data()[count] = digit;
      ++count;
    }
    if (count == out.size()) return absl::OkStatus();
    return InvalidArgument("the share has " + std::to_string(count) + " digits in its groups instead of " +
                           std::to_string(out.size()));
  }

 private:
  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  static char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
  std::string_view rest_;
};

// 1 to 255; 0 for anything else.
uint8_t SmallNumber(std::string_view text) {
  unsigned value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc() && end.ptr == text.data() + text.size() && value <= 255
             ? static_cast<uint8_t>(value)
             : 0;
}

std::string NumberOf(const RecoveryShare& share) { return "share " + std::to_string(share.share.x); }

}  // namespace

StatusOr<RecoverySet> MakeRecovery(uint32_t threshold, uint32_t shares, const Clock& clock) {
  const crypto::HpkeKeyPair pair = crypto::HpkeGenerate();
  CLOISTER_ASSIGN_OR_RETURN(std::vector<crypto::SecretShare> split,
                            crypto::SplitSecret(pair.private_key.view(), threshold, shares));
  RecoverySet out;
  out.key.set_id = crypto::RandomBytes(kIdBytes);
  out.key.public_key = pair.public_key;
  out.key.threshold = static_cast<uint8_t>(threshold);
  out.key.shares = static_cast<uint8_t>(shares);
  out.key.created_ns = clock.Now().time_since_epoch().count();
  for (crypto::SecretShare& share : split) {
    const RecoveryShare one{out.key.set_id.substr(0, kSetMarkBytes), out.key.threshold, out.key.shares,
                            std::move(share)};
    out.shares.push_back(TextOf(one));
  }
  return out;
}

StatusOr<RecoveryShare> ParseShare(std::string_view text) {
  if (text.size() > kShareTextBytesMax) return InvalidArgument("the share is too long to be one");
  ShareReader in(text);
  const std::string mark = in.Word();
  if (mark != kMark) {
    return InvalidArgument(mark.starts_with("cloister-share-")
                               ? "the share is of a format that this version does not know"
                               : "this is no share: one begins with " + std::string(kMark));
  }
  RecoveryShare out;
  const auto set = HexDecode(in.Word());
  if (!set.ok() || set->size() != kSetMarkBytes) {
    return InvalidArgument("the share's set, its second word, must be eight of 0-9 and a-f");
  }
  out.set_mark = *set;
  const std::string counts = in.Word();
  const size_t of = counts.find("-of-");
  out.threshold = SmallNumber(std::string_view(counts).substr(0, of));
  out.shares = of == std::string::npos ? 0 : SmallNumber(std::string_view(counts).substr(of + 4));
  out.share.x = SmallNumber(in.Word());
  if (out.threshold == 0 || out.share.x == 0 || out.share.x > out.shares) {
    return InvalidArgument("the share must say how many are needed, and its number, as in 3-of-5 2");
  }
  crypto::Secret digits(kShareDigits + kChecksumDigits);
  CLOISTER_RETURN_IF_ERROR(in.Digits(digits));
  out.share.y = crypto::Secret(kEpochKeyBytes);
  std::string checksum(kChecksumBytes, '\0');
  const bool whole = Decode(digits.view().substr(0, kShareDigits), out.share.y.data()) &&
                     Decode(digits.view().substr(kShareDigits), checksum.data());
  if (!whole || checksum != Checksum(out)) {
    return InvalidArgument(NumberOf(out) +
                           " has a typing error: its checksum does not fit; compare it with the paper");
  }
  return out;
}

StatusOr<crypto::Secret> CombineShares(const std::vector<RecoveryShare>& shares, const RecoveryKey& key) {
  const std::string mark = key.set_id.substr(0, kSetMarkBytes);
  std::array<bool, 256> seen{};
  std::vector<crypto::SecretShare> points;
  for (const RecoveryShare& share : shares) {
    if (share.set_mark != mark || share.threshold != key.threshold || share.shares != key.shares) {
      return InvalidArgument(NumberOf(share) + " is of set " + HexEncode(share.set_mark) +
                             "; this copy needs shares of set " + HexEncode(mark));
    }
    if (std::exchange(seen[share.share.x], true))
      return InvalidArgument(NumberOf(share) + " was given twice");
    points.push_back({share.share.x, share.share.y.Clone()});
  }
  if (points.size() < key.threshold) {
    return InvalidArgument("this takes " + std::to_string(key.threshold) + " different shares of set " +
                           HexEncode(mark) + "; there are " + std::to_string(points.size()));
  }
  const Status wrong = InvalidArgument("the shares do not give the recovery key; one of them was altered");
  StatusOr<crypto::Secret> secret = crypto::CombineShares(points, key.threshold);
  if (!secret.ok()) return wrong;
  const auto public_key = crypto::HpkePublicKey(secret->view());
  if (!public_key.ok() || *public_key != key.public_key) return wrong;
  return secret;
}

}  // namespace cloister::keyring

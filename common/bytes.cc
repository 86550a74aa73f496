// SPDX-License-Identifier: Apache-2.0
#include "common/bytes.h"

#include <bit>

namespace cloister {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

}  // namespace

std::string HexEncode(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char b : bytes) {
    out.push_back(kHex[b >> 4]);
    out.push_back(kHex[b & 15]);
  }
  return out;
}

StatusOr<std::string> HexDecode(std::string_view hex) {
  if (hex.size() % 2 != 0) return InvalidArgument("hexadecimal text has an odd length");
  std::string out;
  out.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    int high = HexValue(hex[i]), low = HexValue(hex[i + 1]);
    if (high < 0 || low < 0) return InvalidArgument("not lower-case hexadecimal");
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

std::string Base64Encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t have = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j) {
      word = word << 8 | (j < have ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      out.push_back(j <= have ? kBase64[word >> (18 - 6 * j) & 63] : '=');
    }
  }
  return out;
}

StatusOr<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return InvalidArgument("base64 text has a wrong length");
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    size_t have = 4;
    if (i + 4 == text.size()) {
      if (text[i + 3] == '=') have = text[i + 2] == '=' ? 2 : 3;
    }
    uint32_t word = 0;
    for (size_t j = 0; j < 4; ++j) {
      int value = j < have ? Base64Value(text[i + j]) : 0;
      if (value < 0) return InvalidArgument("not base64");
      word = word << 6 | static_cast<uint32_t>(value);
    }
    if ((have == 2 && (word & 0xffff)) || (have == 3 && (word & 0xff))) {
      return InvalidArgument("base64 text has non-zero trailing bits");
    }
    for (size_t j = 0; j + 1 < have; ++j) out.push_back(static_cast<char>(word >> (16 - 8 * j)));
  }
  return out;
}

bool IsUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0 || i + length > text.size()) return false;
    uint32_t rune = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t j = 1; j < length; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      if (next >> 6 != 2) return false;
      rune = rune << 6 | (next & 63);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (rune < kSmallest[length] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) return false;
    i += length;
  }
  return true;
}

void ByteWriter::BigEndian(uint64_t v, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) out_.push_back(static_cast<char>(v >> shift));
}

void ByteWriter::F32(float v) { U32(std::bit_cast<uint32_t>(v)); }

void ByteWriter::String(std::string_view bytes) {
  CLOISTER_CHECK(bytes.size() <= UINT32_MAX);
  U32(static_cast<uint32_t>(bytes.size()));
  Raw(bytes);
}

uint64_t ByteReader::BigEndian(int width) {
  std::string_view raw = Raw(static_cast<size_t>(width));
  uint64_t v = 0;
  for (unsigned char b : raw) v = v << 8 | b;
  return v;
}

float ByteReader::F32() { return std::bit_cast<float>(U32()); }

std::string_view ByteReader::Raw(size_t count) {
  if (failed_ || count > in_.size()) {
    failed_ = true;
    return {};
  }
  std::string_view out = in_.substr(0, count);
  in_.remove_prefix(count);
  return out;
}

std::string_view ByteReader::String() { return Raw(U32()); }

uint32_t ByteReader::Count(size_t element_bytes_min) {
  const uint32_t count = U32();
  if (element_bytes_min != 0 && count > in_.size() / element_bytes_min) {
    failed_ = true;
    return 0;
  }
  return count;
}

Status ByteReader::Finish(std::string_view what) const {
  if (failed_) return DataLoss(std::string(what) + " is truncated");
  if (!in_.empty()) return DataLoss(std::string(what) + " has bytes after its end");
  return absl::OkStatus();
}

}  // namespace cloister

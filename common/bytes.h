// SPDX-License-Identifier: Apache-2.0
// Byte strings: hexadecimal, base64, fixed-width integers, and a bounds-checked reader and writer for the
// binary formats in docs/formats. Does not encrypt, hash or do I/O. Bytes are held in std::string and viewed
// through std::string_view. All functions are thread-safe and pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister {

// Lower-case hexadecimal.
std::string HexEncode(std::string_view bytes);
// Errors: kInvalidArgument (odd length or a character outside [0-9a-f]; upper case is refused, so that one id
// has one spelling).
StatusOr<std::string> HexDecode(std::string_view hex);

// Standard alphabet with padding. SPEC: RFC 4648 section 4.
std::string Base64Encode(std::string_view bytes);
// Errors: kInvalidArgument (length, alphabet, padding or non-zero trailing bits: one value, one spelling).
StatusOr<std::string> Base64Decode(std::string_view text);

// Whether `text` is well-formed UTF-8 (no surrogates, no overlong forms).
bool IsUtf8(std::string_view text);

// Appends fixed-width big-endian integers and length-prefixed strings to a byte string it owns.
class ByteWriter {
 public:
  void U8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void U16(uint16_t v) { BigEndian(v, 2); }
  void U32(uint32_t v) { BigEndian(v, 4); }
  void U64(uint64_t v) { BigEndian(v, 8); }
  void F32(float v);                          // IEEE 754 bits, big-endian.
  void Raw(std::string_view bytes) { out_.append(bytes); }
  void String(std::string_view bytes);        // U32 length, then the bytes.
  const std::string& bytes() const { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  void BigEndian(uint64_t v, int width);
  std::string out_;
};

// Reads what ByteWriter wrote. A read past the end sets failed() and returns zero or empty; the caller checks
// Finish() once at the end. Does not own the bytes.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : in_(bytes) {}
  uint8_t U8() { return static_cast<uint8_t>(BigEndian(1)); }
  uint16_t U16() { return static_cast<uint16_t>(BigEndian(2)); }
  uint32_t U32() { return static_cast<uint32_t>(BigEndian(4)); }
  uint64_t U64() { return BigEndian(8); }
  float F32();
  std::string_view Raw(size_t count);
  std::string_view String();
  // A count of elements that take at least `element_bytes_min` each; fails when the rest cannot hold them, so
  // that a hostile count never reserves memory.
  uint32_t Count(size_t element_bytes_min);
  size_t remaining() const { return in_.size(); }
  bool failed() const { return failed_; }
  // kDataLoss when a read failed or bytes are left over; `what` names the format.
  Status Finish(std::string_view what) const;

 private:
  uint64_t BigEndian(int width);
  std::string_view in_;
  bool failed_ = false;
};

}  // namespace cloister

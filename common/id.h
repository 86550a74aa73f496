// SPDX-License-Identifier: Apache-2.0
// Identifiers: 16 random bytes each, a distinct type per kind of thing, written in lower-case hexadecimal.
// Does not generate randomness; see crypto/random.h (crypto::RandomId). Values are plain and copyable.
// SPEC: docs/formats/ids.md
#pragma once

#include <array>
#include <compare>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/status.h"

namespace cloister {

constexpr size_t kIdBytes = 16;

template <class Tag>
class Id {
 public:
  constexpr Id() = default;  // All zero: "no id".
  // Errors: kInvalidArgument (not 16 bytes).
  static StatusOr<Id> FromBytes(std::string_view bytes) {
    if (bytes.size() != kIdBytes) return InvalidArgument("an id has 16 bytes");
    Id id;
    std::memcpy(id.bytes_.data(), bytes.data(), kIdBytes);
    return id;
  }
  // Errors: kInvalidArgument (not 32 lower-case hexadecimal digits).
  static StatusOr<Id> FromHex(std::string_view hex) {
    if (hex.size() != 2 * kIdBytes) return InvalidArgument("an id has 32 hexadecimal digits");
    CLOISTER_ASSIGN_OR_RETURN(std::string bytes, HexDecode(hex));
    return FromBytes(bytes);
  }
  std::string_view bytes() const { return {reinterpret_cast<const char*>(bytes_.data()), kIdBytes}; }
  std::string hex() const { return HexEncode(bytes()); }
  bool empty() const { return *this == Id(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::array<unsigned char, kIdBytes> bytes_{};
};

struct TenantIdTag {};
struct DocumentIdTag {};
struct VersionIdTag {};
struct ChunkIdTag {};
struct ClassIdTag {};
struct CollectionIdTag {};
struct KeyIdTag {};
struct PrincipalIdTag {};
struct PseudonymTag {};
struct SectionIdTag {};
struct HandleTag {};
struct DatabaseIdTag {};

using TenantId = Id<TenantIdTag>;
using DocumentId = Id<DocumentIdTag>;
using VersionId = Id<VersionIdTag>;
using ChunkId = Id<ChunkIdTag>;
using ClassId = Id<ClassIdTag>;          // An access class.
using CollectionId = Id<CollectionIdTag>;
using KeyId = Id<KeyIdTag>;
using PrincipalId = Id<PrincipalIdTag>;
using Pseudonym = Id<PseudonymTag>;      // Random stand-in for a person or subject in the audit log.
using SectionId = Id<SectionIdTag>;      // A sealed, separately destroyable part of an audit record.
using Handle = Id<HandleTag>;            // What a search returns; identifies a chunk, reveals nothing.
using DatabaseId = Id<DatabaseIdTag>;    // The db_uuid of a sealed database.

}  // namespace cloister

template <class Tag>
struct std::hash<cloister::Id<Tag>> {
  size_t operator()(const cloister::Id<Tag>& id) const noexcept {
    size_t value;  // Ids are random: any eight bytes are a hash.
    std::memcpy(&value, id.bytes().data(), sizeof value);
    return value;
  }
};

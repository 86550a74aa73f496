// SPDX-License-Identifier: Apache-2.0
#include "retrieval/suppressions.h"

#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kFormat = 1;

// A row's value: the key of the other row that was made with it, so that lifting a name lifts the content, too.
std::string Serialise(std::string_view other) {
  ByteWriter out;
  out.U8(kFormat);
  out.String(other);
  return out.Take();
}

StatusOr<std::string> Parse(std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kFormat) {
    return FailedPrecondition("suppression row has format version " + std::to_string(format));
  }
  std::string other(in.String());
  CLOISTER_RETURN_IF_ERROR(in.Finish("suppression row"));
  return other;
}

std::string Keyed(const storage::DataKey& key, std::string_view purpose, const std::vector<std::string_view>& parts) {
  ByteWriter message;
  message.String(purpose);
  for (const std::string_view part : parts) message.String(part);
  return crypto::HmacSha256(key.key->view(), message.bytes());
}

// A mark holds the first halves of both digests of a document: 128 bits of each.
constexpr size_t kHalfBytes = storage::kMarkBytes / 2;

std::string HalfOf(std::string_view key) { return std::string(key.substr(0, kHalfBytes)); }

}  // namespace

StatusOr<std::unique_ptr<Suppressions>> Suppressions::Open(Rows& rows) {
  std::unique_ptr<Suppressions> suppressions(new Suppressions(rows));
  CLOISTER_ASSIGN_OR_RETURN(suppressions->key_, rows.keys().GetNamedKey(storage::KeyKind::kStore, "suppressions"));
  const auto snapshot = rows.GetSnapshot();
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, rows.Keys(*snapshot, kSuppressionsFamily));
  for (const std::string& key : keys) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, rows.Get(*snapshot, kSuppressionsFamily, key));
    CLOISTER_ASSIGN_OR_RETURN(std::string other, Parse(bytes));
    suppressions->rows_by_key_.emplace(key, std::move(other));
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<std::string> marks, rows.keys().Marks());
  for (const std::string& mark : marks) {
    suppressions->marks_.emplace(mark.substr(0, kHalfBytes), mark);
    suppressions->marks_.emplace(mark.substr(kHalfBytes), mark);
  }
  return suppressions;
}

std::string Suppressions::NameKey(const SourceName& name) const {
  return Keyed(key_, "name", {name.collection, name.origin, name.source});
}

std::string Suppressions::ContentKey(std::string_view collection, std::string_view original_sha256) const {
  return Keyed(key_, "content", {collection, original_sha256});
}

Status Suppressions::Add(storage::WriteBatch& batch, const DocumentInfo& info) {
  const std::string name = NameKey({info.collection, info.origin, info.source});
  const std::string content = ContentKey(info.collection, info.original_sha256);
  CLOISTER_RETURN_IF_ERROR(rows_.PutOwn(batch, kSuppressionsFamily, name, Serialise(content)));
  return rows_.PutOwn(batch, kSuppressionsFamily, content, Serialise(name));
}

void Suppressions::Committed(const DocumentInfo& info) {
  const std::string name = NameKey({info.collection, info.origin, info.source});
  const std::string content = ContentKey(info.collection, info.original_sha256);
  std::lock_guard lock(mutex_);
  rows_by_key_[name] = content;
  rows_by_key_[content] = name;
}

Status Suppressions::Mark() {
  std::vector<std::string> missing;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, other] : rows_by_key_) {
      // Once for each pair; which half comes first says nothing.
      if (key < other && !marks_.contains(HalfOf(key))) missing.push_back(HalfOf(key) + HalfOf(other));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(rows_.keys().ChangeMarks(missing, {}));
  std::lock_guard lock(mutex_);
  for (const std::string& mark : missing) {
    marks_.emplace(mark.substr(0, kHalfBytes), mark);
    marks_.emplace(mark.substr(kHalfBytes), mark);
  }
  return absl::OkStatus();
}

bool Suppressions::CoversLocked(const std::string& key) const {
  return rows_by_key_.contains(key) || marks_.contains(HalfOf(key));
}

bool Suppressions::CoversName(const SourceName& name) const {
  const std::string key = NameKey(name);
  std::lock_guard lock(mutex_);
  return CoversLocked(key);
}

bool Suppressions::CoversContent(std::string_view collection, std::string_view original_sha256) const {
  const std::string key = ContentKey(collection, original_sha256);
  std::lock_guard lock(mutex_);
  return CoversLocked(key);
}

Status Suppressions::Lift(const SourceName& name, const Event& event) {
  const std::string key = NameKey(name);
  std::lock_guard writing(rows_.write_mutex());
  std::string other, mark;
  {
    std::lock_guard lock(mutex_);
    if (!CoversLocked(key)) return NotFound("no document of this name was erased on request");
    if (const auto found = rows_by_key_.find(key); found != rows_by_key_.end()) other = found->second;
    if (const auto found = marks_.find(HalfOf(key)); found != marks_.end()) mark = found->second;
  }
  storage::WriteBatch batch;
  if (!other.empty()) {
    batch.Delete(kSuppressionsFamily, key);
    batch.Delete(kSuppressionsFamily, other);
  }
  // The mark first: a row without one is only marked again, a mark without a row would still suppress.
  if (!mark.empty()) CLOISTER_RETURN_IF_ERROR(rows_.keys().ChangeMarks({}, {mark}));
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}));
  std::lock_guard lock(mutex_);
  rows_by_key_.erase(key);
  rows_by_key_.erase(other);
  if (!mark.empty()) {
    marks_.erase(mark.substr(0, kHalfBytes));
    marks_.erase(mark.substr(kHalfBytes));
  }
  return absl::OkStatus();
}

size_t Suppressions::size() const {
  std::lock_guard lock(mutex_);
  size_t pairs = marks_.size();
  for (const auto& [key, other] : rows_by_key_) pairs += marks_.contains(HalfOf(key)) ? 0 : 1;
  return pairs / 2;
}

}  // namespace cloister::retrieval

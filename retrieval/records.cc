// SPDX-License-Identifier: Apache-2.0
#include "retrieval/records.h"

#include <bit>
#include <cstring>
#include <utility>

#include "common/bytes.h"

namespace cloister::retrieval {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors are stored as this machine holds them");

constexpr uint8_t kFormat = 1;
constexpr uint8_t kFormatWithRetention = 2;  // Of a collection that does not shred; others stay readable for older builds.
constexpr size_t kSentenceBytesMin = 8 + 8 + 1 + 4 + 4;
constexpr size_t kBoxBytes = 4 + 4 * 4;
constexpr size_t kChunkBytesMin = kIdBytes + 8 + 8 + 4 + 4 + 4 + 4;

Status CheckFormat(ByteReader& in, std::string_view what) {
  const uint8_t format = in.U8();
  if (in.failed() || format == kFormat) return absl::OkStatus();  // A failed read is reported by Finish().
  return FailedPrecondition(std::string(what) + " has format version " + std::to_string(format) +
                            "; this build reads version " + std::to_string(kFormat));
}

void WriteStrings(ByteWriter& out, const std::vector<std::string>& strings) {
  out.U32(static_cast<uint32_t>(strings.size()));
  for (const std::string& s : strings) out.String(s);
}

std::vector<std::string> ReadStrings(ByteReader& in) {
  const uint32_t count = in.Count(4);
  std::vector<std::string> strings;
  strings.reserve(count);
  for (uint32_t i = 0; i < count; ++i) strings.emplace_back(in.String());
  return strings;
}

template <class IdType>
IdType ReadId(ByteReader& in) {
  auto id = IdType::FromBytes(in.Raw(kIdBytes));
  return id.ok() ? *id : IdType();  // A short read is reported by Finish().
}

Sentence ReadSentence(ByteReader& in) {
  Sentence sentence;
  sentence.start = in.U64();
  sentence.end = in.U64();
  sentence.kind = in.U8();
  sentence.lead_in = static_cast<int32_t>(in.U32());
  const uint32_t boxes = in.Count(kBoxBytes);
  sentence.boxes.reserve(boxes);
  for (uint32_t i = 0; i < boxes; ++i) {
    Box box;
    box.page = in.U32();
    box.x0 = in.F32(), box.y0 = in.F32(), box.x1 = in.F32(), box.y1 = in.F32();
    sentence.boxes.push_back(box);
  }
  return sentence;
}

void WriteSentence(ByteWriter& out, const Sentence& sentence) {
  out.U64(sentence.start);
  out.U64(sentence.end);
  out.U8(sentence.kind);
  out.U32(static_cast<uint32_t>(sentence.lead_in));
  out.U32(static_cast<uint32_t>(sentence.boxes.size()));
  for (const Box& box : sentence.boxes) {
    out.U32(box.page);
    out.F32(box.x0), out.F32(box.y0), out.F32(box.x1), out.F32(box.y1);
  }
}

}  // namespace

std::string Serialise(const DocumentInfo& info) {
  ByteWriter out;
  out.U8(kFormat);
  out.Raw(info.document.bytes());
  out.Raw(info.version.bytes());
  out.Raw(info.access_class.bytes());
  out.U64(info.sequence);
  out.U64(static_cast<uint64_t>(info.put_at_ns));
  for (const std::string* s :
       {&info.collection, &info.origin, &info.source, &info.media_type, &info.title, &info.owner, &info.language,
        &info.effective_from, &info.effective_to, &info.superseded_by}) {
    out.String(*s);
  }
  WriteStrings(out, info.subjects);
  out.String(info.embedder_sha256);
  out.U32(info.dimension);
  out.U8(info.sentence_vectors ? 1 : 0);
  out.U32(info.chunks);
  out.U64(info.text_bytes);
  out.U64(info.original_bytes);
  out.String(info.original_sha256);
  out.String(info.input_sha256);
  out.String(info.content_sha256);
  return out.Take();
}

StatusOr<DocumentInfo> ParseDocumentInfo(std::string_view bytes) {
  ByteReader in(bytes);
  CLOISTER_RETURN_IF_ERROR(CheckFormat(in, "document row"));
  DocumentInfo info;
  info.document = ReadId<DocumentId>(in);
  info.version = ReadId<VersionId>(in);
  info.access_class = ReadId<ClassId>(in);
  info.sequence = in.U64();
  info.put_at_ns = static_cast<int64_t>(in.U64());
  for (std::string* s : {&info.collection, &info.origin, &info.source, &info.media_type, &info.title, &info.owner,
                         &info.language, &info.effective_from, &info.effective_to, &info.superseded_by}) {
    *s = in.String();
  }
  info.subjects = ReadStrings(in);
  info.embedder_sha256 = in.String();
  info.dimension = in.U32();
  info.sentence_vectors = in.U8() != 0;
  info.chunks = in.U32();
  info.text_bytes = in.U64();
  info.original_bytes = in.U64();
  info.original_sha256 = in.String();
  info.input_sha256 = in.String();
  info.content_sha256 = in.String();
  CLOISTER_RETURN_IF_ERROR(in.Finish("document row"));
  return info;
}

std::string Serialise(const User& user) {
  ByteWriter out;
  out.U8(kFormat);
  out.String(user.name);
  WriteStrings(out, user.groups);
  WriteStrings(out, user.roles);
  return out.Take();
}

StatusOr<User> ParseUser(std::string_view bytes) {
  ByteReader in(bytes);
  CLOISTER_RETURN_IF_ERROR(CheckFormat(in, "user row"));
  User user;
  user.name = in.String();
  user.groups = ReadStrings(in);
  user.roles = ReadStrings(in);
  CLOISTER_RETURN_IF_ERROR(in.Finish("user row"));
  return user;
}

std::string Serialise(const Collection& collection) {
  ByteWriter out;
  const bool shreds = collection.retention == Retention();
  out.U8(shreds ? kFormat : kFormatWithRetention);
  out.String(collection.name);
  WriteStrings(out, collection.reader_groups);
  WriteStrings(out, collection.reader_users);
  out.String(collection.classification);
  out.U8(collection.no_sentence_vectors ? 1 : 0);
  if (shreds) return out.Take();
  out.U8(static_cast<uint8_t>(collection.retention.kind));
  out.U32(collection.retention.days);
  return out.Take();
}

StatusOr<Collection> ParseCollection(std::string_view bytes) {
  const bool with_retention = !bytes.empty() && static_cast<uint8_t>(bytes[0]) == kFormatWithRetention;
  ByteReader in(bytes);
  if (with_retention) {
    in.U8();
  } else {
    CLOISTER_RETURN_IF_ERROR(CheckFormat(in, "collection row"));
  }
  Collection collection;
  collection.name = in.String();
  collection.reader_groups = ReadStrings(in);
  collection.reader_users = ReadStrings(in);
  collection.classification = in.String();
  collection.no_sentence_vectors = in.U8() != 0;
  if (with_retention) {
    collection.retention.kind = static_cast<Retention::Kind>(in.U8());
    collection.retention.days = in.U32();
  }
  CLOISTER_RETURN_IF_ERROR(in.Finish("collection row"));
  if (!IsValid(collection.retention)) return DataLoss("collection row: it has a retention class that does not exist");
  return collection;
}

std::string Serialise(const KeptRow& row) {
  ByteWriter out;
  out.U8(kFormat);
  out.U64(static_cast<uint64_t>(row.superseded_at_ns));
  out.U8(row.deleted ? 1 : 0);
  out.String(Serialise(row.info));
  return out.Take();
}

StatusOr<KeptRow> ParseKeptRow(std::string_view bytes) {
  ByteReader in(bytes);
  CLOISTER_RETURN_IF_ERROR(CheckFormat(in, "kept version row"));
  KeptRow row;
  row.superseded_at_ns = static_cast<int64_t>(in.U64());
  row.deleted = in.U8() != 0;
  const std::string_view info = in.String();
  CLOISTER_RETURN_IF_ERROR(in.Finish("kept version row"));
  CLOISTER_ASSIGN_OR_RETURN(row.info, ParseDocumentInfo(info));
  return row;
}

std::string Serialise(const ClassRow& row) {
  ByteWriter out;
  out.U8(kFormat);
  out.U64(row.sequence);
  out.String(policy::Serialise(row.access_class));
  return out.Take();
}

StatusOr<ClassRow> ParseClassRow(std::string_view bytes) {
  ByteReader in(bytes);
  CLOISTER_RETURN_IF_ERROR(CheckFormat(in, "class row"));
  ClassRow row;
  row.sequence = in.U64();
  const std::string_view access_class = in.String();
  CLOISTER_RETURN_IF_ERROR(in.Finish("class row"));
  CLOISTER_ASSIGN_OR_RETURN(row.access_class, policy::ParseAccessClass(access_class));
  return row;
}

std::string SerialiseChunks(const Chunk* chunks, size_t count) {
  ByteWriter out;
  out.U8(kFormat);
  out.U32(static_cast<uint32_t>(count));
  for (size_t i = 0; i < count; ++i) {
    const Chunk& chunk = chunks[i];
    out.Raw(chunk.id.bytes());
    out.U64(chunk.start);
    out.U64(chunk.end);
    WriteStrings(out, chunk.section);
    out.U32(chunk.page_first);
    out.U32(chunk.page_last);
    out.U32(static_cast<uint32_t>(chunk.sentences.size()));
    for (const Sentence& sentence : chunk.sentences) WriteSentence(out, sentence);
  }
  return out.Take();
}

StatusOr<std::vector<Chunk>> ParseChunks(std::string_view bytes) {
  ByteReader in(bytes);
  CLOISTER_RETURN_IF_ERROR(CheckFormat(in, "chunk row"));
  std::vector<Chunk> chunks(in.Count(kChunkBytesMin));
  for (Chunk& chunk : chunks) {
    chunk.id = ReadId<ChunkId>(in);
    chunk.start = in.U64();
    chunk.end = in.U64();
    chunk.section = ReadStrings(in);
    chunk.page_first = in.U32();
    chunk.page_last = in.U32();
    const uint32_t sentences = in.Count(kSentenceBytesMin);
    chunk.sentences.reserve(sentences);
    for (uint32_t i = 0; i < sentences; ++i) chunk.sentences.push_back(ReadSentence(in));
  }
  CLOISTER_RETURN_IF_ERROR(in.Finish("chunk row"));
  return chunks;
}

std::string Serialise(const VectorRow& row) {
  ByteWriter out;
  out.U8(kFormat);
  out.U32(row.dimension);
  out.U32(static_cast<uint32_t>(row.counts.size()));
  for (const uint32_t count : row.counts) out.U32(count);
  out.Raw({reinterpret_cast<const char*>(row.floats.data()), row.floats.size() * sizeof(float)});
  return out.Take();
}

StatusOr<VectorRow> ParseVectorRow(std::string_view bytes) {
  ByteReader in(bytes);
  CLOISTER_RETURN_IF_ERROR(CheckFormat(in, "vector row"));
  VectorRow row;
  row.dimension = in.U32();
  row.counts.resize(in.Count(4));
  uint64_t vectors = 0;
  for (uint32_t& count : row.counts) vectors += count = in.U32();
  // Each count is below 2^32 and there are at most as many as bytes, so the sum does not wrap; the product
  // may.
  if (in.failed() || vectors > in.remaining() || in.remaining() != vectors * row.dimension * sizeof(float)) {
    return DataLoss("vector row: its size does not match its counts");
  }
  const std::string_view raw = in.Raw(in.remaining());
  row.floats.resize(raw.size() / sizeof(float));
  std::memcpy(row.floats.data(), raw.data(), raw.size());
  CLOISTER_RETURN_IF_ERROR(in.Finish("vector row"));
  return row;
}

std::string VersionKey(const DocumentId& document, const VersionId& version) {
  std::string key(document.bytes());
  key.append(version.bytes());
  return key;
}

std::string PartKey(const DocumentId& document, const VersionId& version, uint32_t part) {
  ByteWriter out;
  out.Raw(document.bytes());
  out.Raw(version.bytes());
  out.U32(part);
  return out.Take();
}

}  // namespace cloister::retrieval

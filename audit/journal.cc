// SPDX-License-Identifier: Apache-2.0
#include "audit/journal.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"

namespace cloister::audit {
namespace {

constexpr std::string_view kFileMagic = "CLJR";
constexpr std::string_view kFrameMagic = "CLJF";
constexpr uint8_t kJournalFormat = 1;
constexpr size_t kHeaderCheckBytes = 8;
constexpr size_t kFrameCheckBytes = 32;
// Disks write 512 bytes whole or not at all; what they never wrote reads as zero.
constexpr size_t kSectorBytes = 512;
constexpr size_t kZeroBytesMin = 16;

std::string Check(std::string_view nonce, std::string_view bytes) {
  return crypto::Sha256(std::string(nonce) + std::string(bytes));
}

struct FrameHeader {
  uint64_t first_index = 0, batch = 0, batch_last = 0;
  uint32_t payload_bytes = 0;
  size_t FrameBytes() const { return kFrameHeaderBytes + payload_bytes + kFrameCheckBytes; }
};

std::optional<FrameHeader> ReadFrameHeader(std::string_view bytes, std::string_view nonce) {
  if (bytes.size() < kFrameHeaderBytes) return std::nullopt;
  ByteReader reader(bytes.substr(0, kFrameHeaderBytes));
  if (reader.Raw(kFrameMagic.size()) != kFrameMagic) return std::nullopt;
  FrameHeader header;
  header.first_index = reader.U64();
  header.batch = reader.U64();
  header.batch_last = reader.U64();
  header.payload_bytes = reader.U32();
  const std::string_view fields = bytes.substr(0, kFrameHeaderBytes - kHeaderCheckBytes);
  if (reader.Raw(kHeaderCheckBytes) != Check(nonce, fields).substr(0, kHeaderCheckBytes)) return std::nullopt;
  return header;
}

// Whether the frame that `header` describes stands whole at the beginning of `bytes`.
bool FrameHolds(const FrameHeader& header, std::string_view bytes, std::string_view nonce) {
  if (bytes.size() < header.FrameBytes()) return false;
  const size_t checked = header.FrameBytes() - kFrameCheckBytes;
  return Check(nonce, bytes.substr(0, checked)) == bytes.substr(checked, kFrameCheckBytes);
}

StatusOr<JournalRecord> ReadPayload(uint64_t first_index, std::string_view payload) {
  JournalRecord record;
  record.first_index = first_index;
  ByteReader reader(payload);
  const uint32_t entries = reader.Count(4);
  for (uint32_t i = 0; i < entries; ++i) record.entries.emplace_back(reader.String());
  const uint32_t sections = reader.Count(kIdBytes + 8);
  for (uint32_t i = 0; i < sections && !reader.failed(); ++i) {
    SealedSection section;
    const auto id = SectionId::FromBytes(reader.Raw(kIdBytes));
    if (id.ok()) section.id = *id;
    section.sealed = std::string(reader.String());
    section.key_record = std::string(reader.String());
    record.sections.push_back(std::move(section));
  }
  CLOISTER_RETURN_IF_ERROR(reader.Finish("journal frame"));
  if (record.entries.empty()) return DataLoss("a journal frame holds no entry");
  return record;
}

// Whether some sector's share of [begin, end) was never written. The first bytes of a frame are its magic and
// never zero, and neither JSON nor ciphertext holds 16 zero bytes at a sector's edge but by a chance of
// 2^-128.
bool HasUnwrittenSector(std::string_view file, size_t begin, size_t end) {
  while (begin < end) {
    const size_t sector_end = std::min(end, (begin / kSectorBytes + 1) * kSectorBytes);
    const std::string_view share = file.substr(begin, sector_end - begin);
    if (share.size() >= kZeroBytesMin && share.find_first_not_of('\0') == std::string_view::npos) return true;
    begin = sector_end;
  }
  return false;
}

// Whether a whole frame of a batch after `batch` stands anywhere in `bytes`: then `batch` had been synced.
bool LaterBatchFollows(std::string_view bytes, std::string_view nonce, uint64_t batch) {
  for (size_t at = bytes.find(kFrameMagic); at != std::string_view::npos;
       at = bytes.find(kFrameMagic, at + 1)) {
    const auto header = ReadFrameHeader(bytes.substr(at), nonce);
    if (header && header->batch > batch && FrameHolds(*header, bytes.substr(at), nonce)) return true;
  }
  return false;
}

bool IsTorn(std::string_view file, size_t at, std::string_view nonce, uint64_t batch) {
  const std::string_view rest = file.substr(at);
  const auto header = ReadFrameHeader(rest, nonce);
  const size_t size = header ? header->FrameBytes() : kFrameHeaderBytes;
  const size_t end = header ? std::min(file.size(), at + size) : file.size();
  const bool incomplete = rest.size() < size || HasUnwrittenSector(file, at, end);
  return incomplete && !LaterBatchFollows(rest, nonce, batch);
}

}  // namespace

std::string EncodeJournalHeader(uint64_t first_index, std::string_view nonce) {
  CLOISTER_CHECK(nonce.size() == kJournalNonceBytes);
  ByteWriter out;
  out.Raw(kFileMagic);
  out.U8(kJournalFormat);
  out.Raw(std::string(3, '\0'));
  out.U64(first_index);
  out.Raw(nonce);
  out.Raw(crypto::Sha256(out.bytes()));
  CLOISTER_CHECK(out.bytes().size() == kJournalHeaderBytes);
  return out.Take();
}

std::string EncodeFrame(const JournalRecord& record, uint64_t batch, uint64_t batch_last,
                        std::string_view nonce) {
  ByteWriter payload;
  payload.U32(static_cast<uint32_t>(record.entries.size()));
  for (const std::string& entry : record.entries) payload.String(entry);
  payload.U32(static_cast<uint32_t>(record.sections.size()));
  for (const SealedSection& section : record.sections) {
    payload.Raw(section.id.bytes());
    payload.String(section.sealed);
    payload.String(section.key_record);
  }
  ByteWriter out;
  out.Raw(kFrameMagic);
  out.U64(record.first_index);
  out.U64(batch);
  out.U64(batch_last);
  out.U32(static_cast<uint32_t>(payload.bytes().size()));
  out.Raw(Check(nonce, out.bytes()).substr(0, kHeaderCheckBytes));
  out.Raw(payload.bytes());
  out.Raw(Check(nonce, out.bytes()));
  return out.Take();
}

StatusOr<JournalContents> DecodeJournal(std::string_view file) {
  ByteReader head(file.substr(0, kJournalHeaderBytes));
  if (head.Raw(kFileMagic.size()) != kFileMagic) return DataLoss("the file is not an audit journal");
  const uint8_t format = head.U8();
  if (format != kJournalFormat) {
    return FailedPrecondition("the audit journal has format " + std::to_string(format) +
                              "; this version knows format 1. Open it with the version that wrote it");
  }
  head.Raw(3);
  JournalContents contents;
  contents.first_index = head.U64();
  const std::string nonce(head.Raw(kJournalNonceBytes));
  const std::string_view check = head.Raw(kHashBytes);
  CLOISTER_RETURN_IF_ERROR(head.Finish("audit journal"));
  if (crypto::Sha256(file.substr(0, kJournalHeaderBytes - kHashBytes)) != check) {
    return DataLoss("the head of the audit journal is damaged");
  }
  uint64_t next = contents.first_index, batch = 0, batch_last = next;
  bool batch_complete = true;
  for (size_t at = kJournalHeaderBytes; at < file.size();) {
    const std::string_view rest = file.substr(at);
    const auto header = ReadFrameHeader(rest, nonce);
    if (!header || !FrameHolds(*header, rest, nonce)) {
      if (!IsTorn(file, at, nonce, batch_complete ? batch + 1 : batch)) {
        return DataLoss("the audit journal is damaged at byte " + std::to_string(at));
      }
      contents.torn_bytes = rest.size();
      break;
    }
    const bool same_batch = !batch_complete && header->batch == batch && header->batch_last == batch_last;
    const bool next_batch = batch_complete && header->batch == batch + 1;
    if (header->first_index != next || !(same_batch || next_batch)) {
      return DataLoss("the audit journal's frames are out of order at byte " + std::to_string(at));
    }
    const std::string_view payload = rest.substr(kFrameHeaderBytes, header->payload_bytes);
    CLOISTER_ASSIGN_OR_RETURN(JournalRecord record, ReadPayload(next, payload));
    batch = header->batch;
    batch_last = header->batch_last;
    batch_complete = header->first_index == batch_last;
    next += record.entries.size();
    at += header->FrameBytes();
    contents.records.push_back(std::move(record));
  }
  return contents;
}

}  // namespace cloister::audit

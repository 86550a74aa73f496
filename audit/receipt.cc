// SPDX-License-Identifier: Apache-2.0
#include "audit/receipt.h"

#include <utility>

#include "common/bytes.h"

namespace cloister::audit {
namespace {

constexpr std::string_view kFamily = "c2sp.org/tlog-proof@";
constexpr std::string_view kFirstLine = "c2sp.org/tlog-proof@v1";
constexpr size_t kProofHashesMax = 64;  // A tree of 2^64 entries is no higher.

// Takes a line without its newline off the front of `text`.
StatusOr<std::string_view> TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return DataLoss("the receipt ends early");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string FormatReceipt(const Receipt& receipt) {
  std::string out(kFirstLine);
  out += '\n';
  if (receipt.extra) out += "extra " + Base64Encode(*receipt.extra) + '\n';
  out += "index " + std::to_string(receipt.index) + '\n';
  for (const Hash& hash : receipt.proof) out += Base64Encode(hash.bytes()) + '\n';
  return out + '\n' + receipt.checkpoint;
}

StatusOr<Receipt> ParseReceipt(std::string_view text) {
  if (text.size() > kReceiptBytesMax) return DataLoss("the receipt is longer than 256 KiB");
  Receipt receipt;
  CLOISTER_ASSIGN_OR_RETURN(std::string_view line, TakeLine(text));
  if (line != kFirstLine) {
    if (line.substr(0, kFamily.size()) == kFamily) {
      return FailedPrecondition("the receipt has a format version this program does not know; it knows v1");
    }
    return DataLoss("not a receipt: the first line is not c2sp.org/tlog-proof@v1");
  }
  CLOISTER_ASSIGN_OR_RETURN(line, TakeLine(text));
  if (line.substr(0, 6) == "extra ") {
    auto extra = Base64Decode(line.substr(6));
    if (!extra.ok()) return DataLoss("the receipt's extra line is not valid base64");
    receipt.extra = *std::move(extra);
    CLOISTER_ASSIGN_OR_RETURN(line, TakeLine(text));
  }
  if (line.substr(0, 6) != "index ") return DataLoss("the receipt has no index line");
  CLOISTER_ASSIGN_OR_RETURN(receipt.index, ParseDecimal(line.substr(6)));
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(line, TakeLine(text));
    if (line.empty()) break;
    if (receipt.proof.size() == kProofHashesMax)
      return DataLoss("the receipt's proof has more than 64 hashes");
    const auto hash = Base64Decode(line);
    if (!hash.ok() || hash->size() != kHashBytes)
      return DataLoss("a hash of the receipt is not 32 bytes in base64");
    receipt.proof.push_back(*Hash::FromBytes(*hash));
  }
  receipt.checkpoint = std::string(text);
  return receipt;
}

StatusOr<VerifiedReceipt> VerifyReceipt(const Receipt& receipt, const std::optional<std::string>& entry,
                                        const NoteVerifier& verifier) {
  if (!entry && !receipt.extra)
    return InvalidArgument("the receipt carries no entry; give the entry as well");
  if (entry && receipt.extra && *entry != *receipt.extra) {
    return DataLoss("the given entry is not the entry that the receipt carries");
  }
  VerifiedReceipt verified;
  CLOISTER_ASSIGN_OR_RETURN(verified.checkpoint, OpenCheckpoint(receipt.checkpoint, verifier));
  verified.index = receipt.index;
  verified.entry = entry ? *entry : *receipt.extra;
  const Status proof = VerifyInclusion(receipt.index, verified.checkpoint.size, LeafHash(verified.entry),
                                       receipt.proof, verified.checkpoint.root);
  if (!proof.ok()) return DataLoss("the entry is not at this index of the signed log: " + MessageOf(proof));
  return verified;
}

}  // namespace cloister::audit

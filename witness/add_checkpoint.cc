// SPDX-License-Identifier: Apache-2.0
#include "witness/add_checkpoint.h"

#include <optional>
#include <utility>

#include "audit/checkpoint.h"
#include "common/bytes.h"

namespace cloister::witness {
namespace {

constexpr std::string_view kOld = "old ";

// The next line without its newline; nothing when there is none.
std::optional<std::string_view> TakeLine(std::string_view& rest) {
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string Serialise(const AddCheckpoint& request) {
  std::string body = std::string(kOld) + std::to_string(request.old_size) + '\n';
  for (const audit::Hash& hash : request.proof) body += Base64Encode(hash.bytes()) + '\n';
  return body + '\n' + request.checkpoint;
}

StatusOr<AddCheckpoint> ParseAddCheckpoint(std::string_view body) {
  if (body.size() > kAddCheckpointBytesMax) return InvalidArgument("the request is longer than 72 KiB");
  AddCheckpoint request;
  auto line = TakeLine(body);
  if (!line || line->substr(0, kOld.size()) != kOld) return InvalidArgument("the first line must be \"old SIZE\"");
  const auto old_size = audit::ParseDecimal(line->substr(kOld.size()));
  if (!old_size.ok()) return InvalidArgument("the old size is not a decimal number");
  request.old_size = *old_size;
  for (line = TakeLine(body); line && !line->empty(); line = TakeLine(body)) {
    if (request.proof.size() == kProofHashesMax) return InvalidArgument("a proof has at most 63 hashes");
    const auto bytes = Base64Decode(*line);
    const auto hash = bytes.ok() ? audit::Hash::FromBytes(*bytes) : StatusOr<audit::Hash>(bytes.status());
    if (!hash.ok()) return InvalidArgument("a line of the proof is not 32 bytes in base64");
    request.proof.push_back(*hash);
  }
  if (!line || body.empty()) return InvalidArgument("an empty line and a checkpoint must follow the proof");
  request.checkpoint = std::string(body);
  return request;
}

StatusOr<uint64_t> ParseSizeAnswer(std::string_view body) {
  if (body.empty() || body.back() != '\n') return DataLoss("the witness did not say which size it saw last");
  return audit::ParseDecimal(body.substr(0, body.size() - 1));
}

}  // namespace cloister::witness

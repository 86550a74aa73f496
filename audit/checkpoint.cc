// SPDX-License-Identifier: Apache-2.0
#include "audit/checkpoint.h"

#include <charconv>

#include "common/bytes.h"

namespace cloister::audit {

StatusOr<uint64_t> ParseDecimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    return DataLoss("not a decimal number");
  if (text.size() > 1 && text.front() == '0') return DataLoss("a decimal number has a leading zero");
  return value;
}

std::string CheckpointText(const Checkpoint& checkpoint) {
  return checkpoint.origin + '\n' + std::to_string(checkpoint.size) + '\n' +
         Base64Encode(checkpoint.root.bytes()) + '\n';
}

StatusOr<Checkpoint> ParseCheckpointText(std::string_view text) {
  std::string_view lines[3];
  for (std::string_view& line : lines) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos || end == 0) return DataLoss("a checkpoint has three lines");
    line = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  if (!text.empty()) return DataLoss("a checkpoint has three lines and no extension");
  Checkpoint checkpoint;
  checkpoint.origin = std::string(lines[0]);
  CLOISTER_ASSIGN_OR_RETURN(checkpoint.size, ParseDecimal(lines[1]));
  const auto root = Base64Decode(lines[2]);
  if (!root.ok() || root->size() != kHashBytes) return DataLoss("a checkpoint's root is 32 bytes in base64");
  checkpoint.root = *Hash::FromBytes(*root);
  return checkpoint;
}

StatusOr<Checkpoint> OpenCheckpoint(std::string_view note, const NoteVerifier& verifier) {
  const auto text = verifier.Open(note);
  if (!text.ok()) return Annotate(text.status(), "checkpoint");
  CLOISTER_ASSIGN_OR_RETURN(Checkpoint checkpoint, ParseCheckpointText(*text));
  if (checkpoint.origin != verifier.name()) {
    return DataLoss("the checkpoint is of another log: its origin is not the key's name");
  }
  return checkpoint;
}

}  // namespace cloister::audit

// SPDX-License-Identifier: Apache-2.0
#include "services/verify/kept_checkpoints.h"

#include <map>

#include "common/bytes.h"

namespace cloister::services {

StatusOr<KeptCheckpoint> OpenKept(std::string_view note, const audit::NoteVerifier& log,
                                  const std::vector<audit::CosignatureVerifier>& witnesses) {
  KeptCheckpoint out;
  CLOISTER_ASSIGN_OR_RETURN(out.checkpoint, audit::OpenCheckpoint(note, log));
  for (const audit::CosignatureVerifier& witness : witnesses) {
    const auto time = witness.Verify(note);
    if (time.status().code() == StatusCode::kNotFound) continue;
    CLOISTER_RETURN_IF_ERROR(time.status());
    out.cosigned.push_back({witness.name(), *time});
  }
  return out;
}

std::optional<std::string> FindFork(const std::vector<KeptCheckpoint>& kept) {
  std::map<uint64_t, audit::Hash> roots;
  for (const KeptCheckpoint& one : kept) {
    const auto [found, is_new] = roots.emplace(one.checkpoint.size, one.checkpoint.root);
    if (is_new || found->second == one.checkpoint.root) continue;
    return "Two of the kept checkpoints, both signed by this key, have " + std::to_string(one.checkpoint.size) +
           " entries and different roots (" + HexEncode(found->second.bytes()) + " and " +
           HexEncode(one.checkpoint.root.bytes()) + "): the log was forked.";
  }
  return std::nullopt;
}

}  // namespace cloister::services

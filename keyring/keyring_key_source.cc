// SPDX-License-Identifier: Apache-2.0
#include "keyring/keyring_key_source.h"

namespace cloister::keyring {

StatusOr<storage::Destruction> KeyringKeySource::DestroyKeys(const std::vector<KeyId>& ids,
                                                             storage::DestroyFor why) {
  if (ids.size() > storage::kKeysPerDestructionMax) return InvalidArgument("too many keys to destroy at once");
  CLOISTER_ASSIGN_OR_RETURN(const EpochChange change, keyring_.DestroyKeys(owner_, ids, why));
  return Told(change, {ids.begin(), ids.end()});
}

StatusOr<storage::Destruction> KeyringKeySource::DestroyFormerKeys() {
  CLOISTER_ASSIGN_OR_RETURN(const EpochChange change, keyring_.DestroyFormerKeys(owner_));
  return Told(change, {});
}

storage::Destruction KeyringKeySource::Told(const EpochChange& change, const std::set<KeyId>& asked) const {
  const KeyringStatus status = keyring_.GetStatus();
  storage::Destruction out{change.destroyed.size(),          change.epoch,
                           change.generation,                status.anchor_description,
                           status.destroys_for_good, "none is configured"};
  for (const KeyId& id : change.destroyed) {
    if (!asked.contains(id)) out.along.push_back(id);
  }
  return out;
}

}  // namespace cloister::keyring

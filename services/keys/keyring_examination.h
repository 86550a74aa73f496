// SPDX-License-Identifier: Apache-2.0
// Examines an open keyring, its file and its escrowed copy: that the copy is whole, of this appliance and of
// this epoch, opens with the epoch key, and has every key. Does not open what is sealed to shares or to an
// anchor. Repairs nothing; a copy that is behind is replaced by `cloister keys escrow`. Blocks on both disks.
#pragma once

#include <filesystem>

#include "common/status.h"
#include "keyring/keyring.h"
#include "storage/examination.h"

namespace cloister::services {

// `escrow_folder`: empty when none is configured. Counts the parts "keys" and "escrow". Errors: kCancelled.
Status ExamineKeyring(const keyring::Keyring& keyring, const std::filesystem::path& keyring_path,
                      const std::filesystem::path& escrow_folder, const storage::ExaminationOptions& options,
                      storage::Examination& out);

}  // namespace cloister::services

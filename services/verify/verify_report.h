// SPDX-License-Identifier: Apache-2.0
// What cloister-verify says: text for a person and JSON for programs, and what a result does not prove. Does
// no checking itself; see audit/verifier.h and audit/receipt.h. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/receipt.h"
#include "audit/verifier.h"
#include "services/verify/kept_checkpoints.h"

namespace cloister::services {

// One paragraph a line; shown by --help and below every success.
std::string WhatIsNotProven();

// `kept` were compared with the folder. With a fork among them, `report` has it as a problem.
std::string FolderText(const audit::FolderReport& report, const std::vector<KeptCheckpoint>& kept);
std::string FolderJson(const audit::FolderReport& report, const std::vector<KeptCheckpoint>& kept);
// Of kept checkpoints without a folder.
std::string KeptText(const std::vector<KeptCheckpoint>& kept, const std::optional<std::string>& fork);
std::string KeptJson(const std::vector<KeptCheckpoint>& kept, const std::optional<std::string>& fork);

// `result` is what VerifyReceipt returned. The entry itself is printed only when asked for: one may have 64 KiB.
std::string ReceiptText(const StatusOr<audit::VerifiedReceipt>& result, bool with_entry);
std::string ReceiptJson(const StatusOr<audit::VerifiedReceipt>& result);

}  // namespace cloister::services

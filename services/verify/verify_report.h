// SPDX-License-Identifier: Apache-2.0
// What cloister-verify says: text for a person and JSON for programs, and what a result does not prove. Does
// no checking itself; see audit/verifier.h and audit/receipt.h. Pure.
#pragma once

#include <string>

#include "audit/receipt.h"
#include "audit/verifier.h"

namespace cloister::services {

// One paragraph a line; shown by --help and below every success.
std::string WhatIsNotProven();

std::string FolderText(const audit::FolderReport& report);
std::string FolderJson(const audit::FolderReport& report);

// `result` is what VerifyReceipt returned. The entry itself is printed only when asked for: one may have 64 KiB.
std::string ReceiptText(const StatusOr<audit::VerifiedReceipt>& result, bool with_entry);
std::string ReceiptJson(const StatusOr<audit::VerifiedReceipt>& result);

}  // namespace cloister::services

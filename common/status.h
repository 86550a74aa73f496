// SPDX-License-Identifier: Apache-2.0
// Errors: absl::Status and StatusOr with the macros used to pass them on. Does not define error codes of its
// own and never carries document text, prompts, names or keys in a message.
//
// Debian's absl::string_view is not std::string_view; this header is the only place that converts between them.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister {

using absl::Status;
using absl::StatusCode;
using absl::StatusOr;

// Makes an error. `message` says what to do, and names no content.
Status Error(StatusCode code, std::string_view message);

inline Status InvalidArgument(std::string_view m) { return Error(StatusCode::kInvalidArgument, m); }
inline Status NotFound(std::string_view m) { return Error(StatusCode::kNotFound, m); }
inline Status AlreadyExists(std::string_view m) { return Error(StatusCode::kAlreadyExists, m); }
inline Status PermissionDenied(std::string_view m) { return Error(StatusCode::kPermissionDenied, m); }
inline Status Unauthenticated(std::string_view m) { return Error(StatusCode::kUnauthenticated, m); }
inline Status FailedPrecondition(std::string_view m) { return Error(StatusCode::kFailedPrecondition, m); }
// What was asked for was taken back by somebody entitled, such as a document that was erased on request.
inline Status Aborted(std::string_view m) { return Error(StatusCode::kAborted, m); }
inline Status ResourceExhausted(std::string_view m) { return Error(StatusCode::kResourceExhausted, m); }
inline Status DataLoss(std::string_view m) { return Error(StatusCode::kDataLoss, m); }
inline Status Unavailable(std::string_view m) { return Error(StatusCode::kUnavailable, m); }
inline Status Internal(std::string_view m) { return Error(StatusCode::kInternal, m); }

// The message of a status as an owned std::string.
std::string MessageOf(const Status& status);
// The canonical name of a code, e.g. "DATA_LOSS".
std::string_view CodeName(StatusCode code);
// The same error with `context` and a colon in front of its message.
Status Annotate(const Status& status, std::string_view context);

// Ends the process with `message` on stderr. For programmer errors only, through CLOISTER_CHECK.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace cloister

#define CLOISTER_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::cloister::CheckFailed(__FILE__, __LINE__, #condition))

#define CLOISTER_STATUS_CONCAT_INNER(a, b) a##b
#define CLOISTER_STATUS_CONCAT(a, b) CLOISTER_STATUS_CONCAT_INNER(a, b)

#define CLOISTER_RETURN_IF_ERROR(expr)                       \
  do {                                                       \
    ::cloister::Status cloister_status_ = (expr);            \
    if (!cloister_status_.ok()) return cloister_status_;     \
  } while (false)

// CLOISTER_ASSIGN_OR_RETURN(auto value, Function());
#define CLOISTER_ASSIGN_OR_RETURN(lhs, expr) \
  CLOISTER_ASSIGN_OR_RETURN_IMPL(CLOISTER_STATUS_CONCAT(cloister_statusor_, __LINE__), lhs, expr)
#define CLOISTER_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                   \
  if (!tmp.ok()) return tmp.status();                  \
  lhs = *std::move(tmp)

// SPDX-License-Identifier: Apache-2.0
// Reads a passphrase, password or key from a file or from the terminal; never from a flag or the environment.
#pragma once

#include <filesystem>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::services {

constexpr std::string_view kPassphrase = "passphrase";
constexpr std::string_view kPassword = "password";
constexpr std::string_view kApiKey = "API key";

// The file's only line; the line end is not part of it. `what` is in it, for messages.
// Errors: kFailedPrecondition (others may read the file: the message has the chmod to run), kInvalidArgument
// (empty, longer than crypto::kPassphraseBytesMax, several lines), kNotFound.
StatusOr<crypto::Secret> ReadSecretFile(const std::filesystem::path& file, std::string_view what);

// Typed on the controlling terminal without echo, twice with `confirm`. Blocks on the person.
// Errors: kFailedPrecondition (no terminal; the two differ), kInvalidArgument (as above).
StatusOr<crypto::Secret> AskPassphrase(std::string_view prompt, bool confirm);

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// Where the passphrase of this run came from, and what that leaves unprotected. Plain values; never the
// passphrase.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cloister::services {

enum class PassphraseSource {
  kTyped,           // On a terminal.
  kFile,            // In a file on another device than the data.
  kFileOnSameDisk,  // In a file on the device that holds the data.
};

// "typed", "file" and "file-same-disk": the flag that tells the keys service.
std::string_view NameOf(PassphraseSource source);
// Errors: kInvalidArgument (another name).
StatusOr<PassphraseSource> ParsePassphraseSource(std::string_view name);

// kFile or kFileOnSameDisk. Errors: kNotFound and others of stat(2) for either path.
StatusOr<PassphraseSource> SourceOfFile(const std::filesystem::path& passphrase_file,
                                        const std::filesystem::path& data_directory);

// Plain sentences for a person; empty when there is nothing to say.
std::vector<std::string> NotProtectedBy(PassphraseSource source);

}  // namespace cloister::services

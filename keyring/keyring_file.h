// SPDX-License-Identifier: Apache-2.0
// The keyring's file on disk: its lock, its replacement, and what older copies of it leave behind. Knows no format.
// For keyring/keyring.cc.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/file.h"
#include "common/status.h"

namespace cloister::keyring {

// Errors: kFailedPrecondition (another process has it), kUnavailable.
StatusOr<FileDescriptor> LockKeyringFile(const std::filesystem::path& path);
StatusOr<bool> KeyringFileExists(const std::filesystem::path& path);
// As WriteFileAtomic, mode 0600; then zeros over the blocks of the file that was replaced. On a disk that writes in place
// this takes away the last copy on this disk; on others it may not, which is why nobody counts it as destruction.
Status WriteKeyringFile(const std::filesystem::path& path, std::string_view bytes);
// The same for any file that must not leave an older version of itself on the disk.
Status ReplaceAndOverwrite(const std::filesystem::path& path, std::string_view bytes);
// A kill in the middle of an atomic write leaves a copy behind, which the next change of epoch would make an old one. `path`
// names the file itself, a keyring or an escrowed copy.
void RemoveLeftOverKeyrings(const std::filesystem::path& path);
// The first `bytes_max` bytes, or as many as there are; empty when there is no such file.
std::string ReadHead(const std::filesystem::path& path, size_t bytes_max);

}  // namespace cloister::keyring

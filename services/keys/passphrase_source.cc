// SPDX-License-Identifier: Apache-2.0
#include "services/keys/passphrase_source.h"

#include <sys/stat.h>

#include <cerrno>

#include "common/file.h"

namespace cloister::services {

std::string_view NameOf(PassphraseSource source) {
  switch (source) {
    case PassphraseSource::kTyped:
      return "typed";
    case PassphraseSource::kFile:
      return "file";
    case PassphraseSource::kFileOnSameDisk:
      return "file-same-disk";
  }
  return "typed";
}

StatusOr<PassphraseSource> ParsePassphraseSource(std::string_view name) {
  for (const auto source :
       {PassphraseSource::kTyped, PassphraseSource::kFile, PassphraseSource::kFileOnSameDisk}) {
    if (NameOf(source) == name) return source;
  }
  return InvalidArgument("a passphrase source is typed, file or file-same-disk");
}

StatusOr<PassphraseSource> SourceOfFile(const std::filesystem::path& passphrase_file,
                                        const std::filesystem::path& data_directory) {
  struct stat file;
  struct stat data;
  if (::stat(passphrase_file.c_str(), &file) != 0) return ErrnoStatus(errno, "passphrase file");
  if (::stat(data_directory.c_str(), &data) != 0) return ErrnoStatus(errno, "data directory");
  return file.st_dev == data.st_dev ? PassphraseSource::kFileOnSameDisk : PassphraseSource::kFile;
}

std::vector<std::string> NotProtectedBy(PassphraseSource source) {
  if (source != PassphraseSource::kFileOnSameDisk) return {};
  return {"Theft of this machine is not covered: the passphrase file lies on the same disk as the data."};
}

}  // namespace cloister::services

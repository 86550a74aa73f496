// SPDX-License-Identifier: Apache-2.0
// manifest.toml in a folder: metadata for files that cannot carry their own, such as PDFs. Written by whoever brings
// the folder in, so it is configuration and not a document. Pure and thread-safe.
//
//   ["policies/visiting.pdf"]
//   title = "Visiting hours"
//   subjects = ["patient-4711"]
//   effective_from = 2026-01-01
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/status.h"
#include "ingest/parsed_document.h"

namespace cloister::ingest {

constexpr std::string_view kManifestName = "manifest.toml";
constexpr size_t kManifestBytesMax = 4 * 1024 * 1024;
constexpr size_t kManifestEntriesMax = 100'000;

class Manifest {
 public:
  // Errors: kInvalidArgument with the line; an unknown key names the nearest known one.
  static StatusOr<Manifest> Parse(std::string_view toml);

  // Lets what the manifest says about `source` win over `metadata`.
  void Apply(std::string_view source, Metadata& metadata) const;
  bool empty() const { return entries_.empty(); }

 private:
  std::map<std::string, Metadata, std::less<>> entries_;
};

}  // namespace cloister::ingest

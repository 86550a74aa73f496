// SPDX-License-Identifier: Apache-2.0
// manifest.toml in a folder: metadata for files that cannot carry their own, such as PDFs. Does not read TOML, which
// like any file of a folder is read in the sandboxed parse process (manifest_parser.h); this is what comes back.
// Pure and thread-safe.
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
constexpr size_t kManifestSourceBytesMax = 4'096;
constexpr size_t kManifestProblemBytesMax = 512;

class Manifest {
 public:
  using Entries = std::map<std::string, Metadata, std::less<>>;  // By source.

  Manifest() = default;
  explicit Manifest(Entries entries) : entries_(std::move(entries)) {}

  // Lets what the manifest says about `source` win over `metadata`.
  void Apply(std::string_view source, Metadata& metadata) const;
  // What it says about `source`, or null.
  const Metadata* Find(std::string_view source) const;
  const Entries& entries() const { return entries_; }

 private:
  Entries entries_;
};

// What the parse process says: the manifest, or what is wrong with the file.
struct ManifestResult {
  std::string problem;  // One sentence with the line; empty when there is none.
  Manifest manifest;
};

// Layout: "CLPM" | format 1 | problem | entries: count, then source and metadata each (metadata_codec.h).
std::string EncodeManifestResult(const ManifestResult& result);
// Safe on hostile bytes. Errors: kDataLoss (malformed, or against a limit), kFailedPrecondition (another format).
StatusOr<ManifestResult> DecodeManifestResult(std::string_view bytes);

}  // namespace cloister::ingest

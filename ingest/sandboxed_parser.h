// SPDX-License-Identifier: Apache-2.0
// Parses a file in a process of its own, cloister-parse, that has no network, no files, little memory and little time.
// Parses nothing in this process: it only checks what comes back.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"
#include "ingest/manifest.h"
#include "ingest/media_type.h"
#include "ingest/parsed_document.h"

namespace cloister::ingest {

struct SandboxedParserOptions {
  std::filesystem::path binary;  // cloister-parse
  uint64_t memory_bytes_max = 512ull * 1024 * 1024;
  uint32_t cpu_seconds_max = 10;
  std::chrono::milliseconds wall_max{60'000};  // For a machine too busy to give the processor time.
  size_t output_bytes_max = kEncodedBytesMax;
};

// What cloister-parse is told for a manifest in the place of a media type.
constexpr std::string_view kManifestInput = "manifest";

struct ParseOutcome {
  std::optional<ParsedDocument> document;
  std::string reason;    // Why there is none, for a person; no content.
  bool hostile = false;  // It crashed the parser, broke a limit or tried what no parser does: worth an audit record.
};

// One sentence for a person.
std::string RefusalMessage(Refusal refusal);

// Thread-safe; each call has its own process and blocks until it ended.
class SandboxedParser {
 public:
  explicit SandboxedParser(SandboxedParserOptions options) : options_(std::move(options)) {}

  // Every file gives an outcome. `cancelled`, when given, is looked at ten times a second.
  // Errors, none of them the file's fault: kUnavailable (the process cannot be started), kFailedPrecondition (it
  // could not apply its sandbox), kInternal (wrong usage), StatusCode::kCancelled.
  StatusOr<ParseOutcome> Parse(MediaType type, std::string_view bytes, const std::atomic<bool>* cancelled = nullptr) const;
  // Errors, beside those of Parse: kInvalidArgument (what is wrong with it, with the line), kDataLoss (it crashed the
  // parser, broke a limit or made it answer nonsense: worth an audit record).
  StatusOr<Manifest> ParseManifest(std::string_view toml, const std::atomic<bool>* cancelled = nullptr) const;

 private:
  // What the process wrote, or why it ended without: `failure` is for a person.
  struct Answer {
    std::string bytes;
    std::string failure;
    bool hostile = false;
  };
  StatusOr<Answer> Run(std::string_view input, std::string_view bytes, const std::atomic<bool>* cancelled) const;
  StatusOr<ParseOutcome> ParseOnce(MediaType type, std::string_view bytes, const std::atomic<bool>* cancelled) const;
  SandboxedParserOptions options_;
};

}  // namespace cloister::ingest

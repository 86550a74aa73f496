// SPDX-License-Identifier: Apache-2.0
// cloister-parse: one file from standard input to standard output, in a sandbox, once. Links no RPC, opens no file and
// knows no other process. Started by ingest; see ingest/sandboxed_parser.h.
//
//   cloister-parse --media-type TYPE|manifest [--memory-bytes N] [--cpu-seconds N] < FILE > RESULT
//   cloister-parse --dump FILE...     for developers: starts itself as above for each file and prints JSON
//
// Exit status: 0 (a document or a refusal was written), else as in ingest/sandbox.h.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "common/file.h"
#include "ingest/manifest_parser.h"
#include "ingest/parse.h"
#include "ingest/parsed_document.h"
#include "ingest/sandbox.h"
#include "ingest/sandboxed_parser.h"
#include "services/parse/dump.h"

namespace cloister::services {
namespace {

constexpr size_t kFileBytesMax = 32 * 1024 * 1024;

struct Arguments {
  ingest::MediaType type = ingest::MediaType::kUnsupported;
  bool manifest = false;
  ingest::SandboxLimits limits;
};

template <class T>
bool ReadNumber(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0;
}

bool ReadArguments(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i], value = argv[i + 1];
    bool ok = false;
    if (name == "--media-type") {
      arguments.type = ingest::MediaTypeFromName(value);
      arguments.manifest = value == ingest::kManifestInput;
      ok = arguments.manifest || arguments.type != ingest::MediaType::kUnsupported;
    }
    if (name == "--memory-bytes") ok = ReadNumber(value, arguments.limits.memory_bytes_max);
    if (name == "--cpu-seconds") ok = ReadNumber(value, arguments.limits.cpu_seconds_max);
    if (!ok) return false;
  }
  return argc % 2 == 1 && (arguments.manifest || arguments.type != ingest::MediaType::kUnsupported);
}

// A manifest that cannot be read at all is longer than ingest hands over, or was cut short.
std::string ParseManifestBytes(const StatusOr<std::string>& bytes) {
  if (bytes.ok()) return ingest::EncodeManifestResult(ingest::ParseManifest(*bytes));
  return ingest::EncodeManifestResult({"line 1: cannot be read", {}});
}

std::string ParseFileBytes(ingest::MediaType type, const StatusOr<std::string>& bytes) {
  return ingest::EncodeParseResult(bytes.ok() ? ingest::ParseBytes(type, *bytes, ingest::ParseLimits())
                                              : ingest::Refuse(ingest::Refusal::kTextTooLong));
}

int ParseOnce(const Arguments& arguments) {
  ingest::WarmUpParsers();
  if (const auto report = ingest::EnterSandbox(arguments.limits); !report.ok()) return ingest::kExitSandbox;
  const auto bytes = ReadAll(STDIN_FILENO, kFileBytesMax);
  const std::string result = arguments.manifest ? ParseManifestBytes(bytes) : ParseFileBytes(arguments.type, bytes);
  return WriteAll(STDOUT_FILENO, result).ok() ? 0 : ingest::kExitOutput;
}

bool DumpFile(const ingest::SandboxedParser& parser, const char* path) {
  const auto bytes = ReadFile(path, kFileBytesMax);
  if (!bytes.ok()) {
    std::fprintf(stderr, "%s: %s\n", path, MessageOf(bytes.status()).c_str());
    return false;
  }
  const ingest::MediaType type = ingest::DetectMediaType(path, *bytes);
  if (type == ingest::MediaType::kUnsupported) {
    std::fprintf(stderr, "%s: %s\n", path, ingest::RefusalMessage(ingest::Refusal::kUnsupported).c_str());
    return false;
  }
  const auto outcome = parser.Parse(type, *bytes);
  if (!outcome.ok() || !outcome->document) {
    const std::string reason = outcome.ok() ? outcome->reason : MessageOf(outcome.status());
    std::fprintf(stderr, "%s: %s\n", path, reason.c_str());
    return false;
  }
  std::puts(DumpJson(path, ingest::MediaTypeName(type), *outcome->document, ingest::ChunkOptions()).c_str());
  return true;
}

int Dump(int argc, char** argv) {
  ingest::SandboxedParserOptions options;
  options.binary = "/proc/self/exe";
  const ingest::SandboxedParser parser(options);
  int failed = 0;
  for (int i = 2; i < argc; ++i) failed += DumpFile(parser, argv[i]) ? 0 : 1;
  return failed == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], "--dump") == 0) return Dump(argc, argv);
  Arguments arguments;
  if (!ReadArguments(argc, argv, arguments)) {
    std::fputs("usage: cloister-parse --media-type TYPE|manifest [--memory-bytes N] [--cpu-seconds N] < FILE > RESULT\n"
               "       cloister-parse --dump FILE...\n",
               stderr);
    return ingest::kExitUsage;
  }
  return ParseOnce(arguments);
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  const int status = cloister::services::Main(argc, argv);
  // Destructors of libraries have nothing to add and may make calls the filter kills for.
  std::fflush(stdout);
  _exit(status);
}

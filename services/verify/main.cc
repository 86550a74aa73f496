// SPDX-License-Identifier: Apache-2.0
// cloister-verify: checks an exported audit log, or one receipt, offline and without trusting the appliance.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "audit/envelope.h"
#include "audit/log_writer.h"
#include "audit/note.h"
#include "common/file.h"
#include "services/verify/verify_report.h"

namespace cloister::services {
namespace {

constexpr int kExitVerified = 0;
constexpr int kExitNotVerified = 1;
constexpr int kExitUsage = 2;
constexpr size_t kKeyBytesMax = 4096;

struct Flags {
  std::string folder, receipt, entry, key;
  bool json = false, show_entry = false;
};

int Usage(const std::string& message) {
  std::fprintf(stderr, "cloister-verify: %s\n", message.c_str());
  return kExitUsage;
}

void Print(const std::string& text) { std::fputs(text.c_str(), stdout); }

int CheckFolder(const Flags& flags, const audit::NoteVerifier& verifier) {
  std::error_code error;
  if (!std::filesystem::is_directory(flags.folder, error)) return Usage("the folder does not exist");
  const audit::FolderReport report = audit::VerifyFolder(flags.folder, verifier);
  Print(flags.json ? FolderJson(report) : FolderText(report));
  return report.verified() ? kExitVerified : kExitNotVerified;
}

int CheckReceipt(const Flags& flags, const audit::NoteVerifier& verifier) {
  const auto text = ReadFile(flags.receipt, audit::kReceiptBytesMax);
  if (!text.ok()) return Usage("the receipt cannot be read: " + MessageOf(text.status()));
  std::optional<std::string> entry;
  if (!flags.entry.empty()) {
    auto bytes = ReadFile(flags.entry, audit::kEntryBytesMax + 1);
    if (!bytes.ok()) return Usage("the entry cannot be read: " + MessageOf(bytes.status()));
    // Editors and shells end a file with a newline; an entry never does.
    if (!bytes->empty() && bytes->back() == '\n') bytes->pop_back();
    entry = *std::move(bytes);
  }
  const auto receipt = audit::ParseReceipt(*text);
  const StatusOr<audit::VerifiedReceipt> result = receipt.ok()
                                                      ? audit::VerifyReceipt(*receipt, entry, verifier)
                                                      : StatusOr<audit::VerifiedReceipt>(receipt.status());
  if (result.status().code() == StatusCode::kInvalidArgument) return Usage(MessageOf(result.status()));
  Print(flags.json ? ReceiptJson(result) : ReceiptText(result, flags.show_entry));
  return result.ok() ? kExitVerified : kExitNotVerified;
}

int Run(const Flags& flags) {
  if (flags.folder.empty() == flags.receipt.empty()) return Usage("give either a FOLDER or --receipt FILE");
  if (!flags.entry.empty() && flags.receipt.empty()) return Usage("--entry belongs to --receipt");
  const auto key = ReadFile(flags.key, kKeyBytesMax);
  if (!key.ok()) return Usage("the verifier key cannot be read: " + MessageOf(key.status()));
  const auto verifier = audit::NoteVerifier::Parse(*key);
  if (!verifier.ok()) return Usage("the verifier key is not usable: " + MessageOf(verifier.status()));
  return flags.receipt.empty() ? CheckFolder(flags, *verifier) : CheckReceipt(flags, *verifier);
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::Flags flags;
  CLI::App app("Checks an exported audit log, or one receipt, with nothing but the log's verifier key.");
  app.add_option("folder", flags.folder, "exported log: checkpoint and tile/");
  app.add_option("--receipt", flags.receipt, "one receipt (.tlog-proof) instead of a folder");
  app.add_option("--entry", flags.entry, "the entry the receipt is for, when the receipt does not carry it");
  app.add_option("--key", flags.key,
                 "file with the verifier key (NAME+KEYID+BASE64), from a source you trust")
      ->required();
  app.add_flag("--show-entry", flags.show_entry, "print the entry of a receipt that holds");
  app.add_flag("--json", flags.json, "print JSON");
  app.footer(
      "Proven by success: the given key signed a log of this size; every entry in the folder (or the one of\n"
      "the receipt) is in it, unaltered and in its place.\n" +
      cloister::services::WhatIsNotProven() +
      "Exit status: 0 verified, 1 not verified, 2 wrong usage or a file that cannot be read.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : cloister::services::kExitUsage;
  }
  return cloister::services::Run(flags);
}

// SPDX-License-Identifier: Apache-2.0
// cloister-verify: checks an exported audit log, or one receipt, offline and without trusting the appliance.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/envelope.h"
#include "audit/log_writer.h"
#include "audit/note.h"
#include "common/file.h"
#include "services/verify/kept_checkpoints.h"
#include "services/verify/verify_report.h"

namespace cloister::services {
namespace {

constexpr int kExitVerified = 0;
constexpr int kExitNotVerified = 1;
constexpr int kExitUsage = 2;
constexpr size_t kKeyBytesMax = 4096;

struct Flags {
  std::string folder, receipt, entry, key;
  std::vector<std::string> kept, witness_keys;
  bool json = false, show_entry = false;
};

int Usage(const std::string& message) {
  std::fprintf(stderr, "cloister-verify: %s\n", message.c_str());
  return kExitUsage;
}

void Print(const std::string& text) { std::fputs(text.c_str(), stdout); }

StatusOr<std::vector<KeptCheckpoint>> ReadKept(const Flags& flags, const audit::NoteVerifier& verifier) {
  std::vector<audit::CosignatureVerifier> witnesses;
  for (const std::string& file : flags.witness_keys) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string key, ReadFile(file, kKeyBytesMax));
    auto witness = audit::CosignatureVerifier::Parse(key);
    if (!witness.ok()) return Annotate(witness.status(), file);
    witnesses.push_back(*std::move(witness));
  }
  std::vector<KeptCheckpoint> kept;
  for (const std::string& file : flags.kept) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string note, ReadFile(file, audit::kNoteBytesMax));
    auto one = OpenKept(note, verifier, witnesses);
    if (!one.ok()) return Annotate(one.status(), file);
    kept.push_back(*std::move(one));
  }
  for (const audit::CosignatureVerifier& witness : witnesses) {
    const bool found = std::any_of(kept.begin(), kept.end(), [&](const KeptCheckpoint& one) {
      return std::any_of(one.cosigned.begin(), one.cosigned.end(), [&](const Cosigned& by) { return by.witness == witness.name(); });
    });
    if (!found) return DataLoss("none of the kept checkpoints is cosigned by " + witness.name());
  }
  return kept;
}

int CheckKept(const Flags& flags, const std::vector<KeptCheckpoint>& kept) {
  const auto fork = FindFork(kept);
  Print(flags.json ? KeptJson(kept, fork) : KeptText(kept, fork));
  return fork ? kExitNotVerified : kExitVerified;
}

int CheckFolder(const Flags& flags, const audit::NoteVerifier& verifier, const std::vector<KeptCheckpoint>& kept) {
  std::error_code error;
  if (!std::filesystem::is_directory(flags.folder, error)) return Usage("the folder does not exist");
  std::vector<audit::Checkpoint> checkpoints;
  for (const KeptCheckpoint& one : kept) checkpoints.push_back(one.checkpoint);
  const audit::FolderReport report = audit::VerifyFolder(flags.folder, verifier, std::move(checkpoints));
  Print(flags.json ? FolderJson(report, kept) : FolderText(report, kept));
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
  const bool kept_alone = flags.folder.empty() && flags.receipt.empty() && !flags.kept.empty();
  if (flags.folder.empty() == flags.receipt.empty() && !kept_alone) {
    return Usage("give either a FOLDER or --receipt FILE, or checkpoints to compare with --kept");
  }
  if (!flags.receipt.empty() && !flags.kept.empty()) return Usage("--kept belongs to a FOLDER, or stands alone");
  if (!flags.witness_keys.empty() && flags.kept.empty()) return Usage("--witness-key belongs to --kept");
  if (!flags.entry.empty() && flags.receipt.empty()) return Usage("--entry belongs to --receipt");
  const auto key = ReadFile(flags.key, kKeyBytesMax);
  if (!key.ok()) return Usage("the verifier key cannot be read: " + MessageOf(key.status()));
  const auto verifier = audit::NoteVerifier::Parse(*key);
  if (!verifier.ok()) return Usage("the verifier key is not usable: " + MessageOf(verifier.status()));
  if (!flags.receipt.empty()) return CheckReceipt(flags, *verifier);
  const auto kept = ReadKept(flags, *verifier);
  if (kept.status().code() == StatusCode::kDataLoss) {
    Print("NOT VERIFIED: " + MessageOf(kept.status()) + ".\n");
    return kExitNotVerified;
  }
  if (!kept.ok()) return Usage(MessageOf(kept.status()));
  return kept_alone ? CheckKept(flags, *kept) : CheckFolder(flags, *verifier, *kept);
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::Flags flags;
  CLI::App app("Checks an exported audit log, or one receipt, with nothing but the log's verifier key.");
  app.add_option("folder", flags.folder, "exported log: checkpoint and tile/");
  app.add_option("--receipt", flags.receipt, "one receipt (.tlog-proof) instead of a folder");
  app.add_option("--kept", flags.kept,
                 "checkpoint of the log that was kept elsewhere, such as by a witness: the log must begin with it; repeat\n"
                 "for more. Without a folder they are compared with one another")
      ->allow_extra_args(false);
  app.add_option("--witness-key", flags.witness_keys,
                 "file with the verifier key of a witness that must have cosigned one of them; repeat for more")
      ->allow_extra_args(false);
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

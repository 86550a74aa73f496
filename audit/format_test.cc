// SPDX-License-Identifier: Apache-2.0
// Holds the worked example of docs/formats/audit.md to what the code does, byte for byte, and audit/FORMAT.md
// to the list of event classes.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "audit/event_names.h"
#include "audit/journal.h"
#include "audit/receipt.h"
#include "audit/test_support.h"
#include "audit/tiles.h"
#include "common/bytes.h"

namespace cloister::audit {
namespace {

using Example = std::vector<std::pair<std::string, std::string>>;

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// "name = value" lines of the blocks that begin with ```example audit; an indented line continues the one
// before.
std::map<std::string, std::string> DocumentedExample() {
  std::istringstream lines(ReadWhole(CLOISTER_SOURCE_DIR "/docs/formats/audit.md"));
  std::map<std::string, std::string> values;
  bool inside = false;
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("```", 0) == 0) {
      inside = line == "```example audit";
    } else if (inside && line.rfind("  ", 0) == 0) {
      values[name] += line.substr(2);
    } else if (const size_t at = line.find(" = "); inside && at != std::string::npos) {
      name = line.substr(0, at);
      values[name] = line.substr(at + 3);
    }
  }
  return values;
}

Event ExampleEvent() {
  Event event;
  event.name = "ask.intent";
  event.body_json = "{\"mode\":\"hybrid\",\"purpose\":\"TREAT\"}";
  event.who = Actor{Actor::Kind::kUser, "00112233445566778899aabbccddeeff"};
  SealedSection section;
  section.id = *SectionId::FromHex("0123456789abcdef0123456789abcdef");
  section.sealed = "sealed bytes";
  section.key_record = "key record";
  section.commitment = SectionCommitment(std::string(32, '\x11'), section.sealed);
  event.sections.push_back(section);
  return event;
}

Example ComputeExample() {
  const NoteSigner signer = *NoteSigner::New("clinic/main/1", std::string(32, '\x07'));
  const Stamp stamp{WallTime(std::chrono::seconds(1'800'000'000)), std::chrono::nanoseconds(1'000'000'000),
                    std::string(32, 'b')};
  Event second;
  second.name = "service.stopped";
  second.body_json = "{}";
  second.who = Actor{Actor::Kind::kService, "gateway"};
  const Event first = ExampleEvent();
  const std::string entry0 = PreparedRecord::New(first, "main")->Entries(0, stamp).front();
  const std::string entry1 = PreparedRecord::New(second, "main")->Entries(1, stamp).front();
  TileBuilder builder;
  const TileSink ignore = [](const TileId&, std::string_view) { return absl::OkStatus(); };
  std::string bundle;
  for (const std::string& entry : {entry0, entry1}) {
    EXPECT_TRUE(builder.Append(LeafHash(entry), ignore).ok());
    AppendToBundle(entry, bundle);
  }
  Receipt receipt;
  receipt.extra = entry0;
  receipt.proof = {LeafHash(entry1)};
  receipt.checkpoint = signer.Sign(CheckpointText({signer.name(), 2, builder.Root()}));
  const std::string nonce(kJournalNonceBytes, '\x5a');
  return {
      {"seed", HexEncode(std::string(32, '\x07'))},
      {"vkey", signer.verifier_key()},
      {"salt", HexEncode(std::string(32, '\x11'))},
      {"sealed", HexEncode(first.sections[0].sealed)},
      {"commitment", HexEncode(first.sections[0].commitment.bytes())},
      {"entry0", entry0},
      {"entry1", entry1},
      {"leaf0", HexEncode(LeafHash(entry0).bytes())},
      {"leaf1", HexEncode(LeafHash(entry1).bytes())},
      {"root", HexEncode(builder.Root().bytes())},
      {"tile/0/000.p/2", HexEncode(builder.Partial(0))},
      {"tile/entries/000.p/2 (first 8 bytes)", HexEncode(bundle.substr(0, 8))},
      {"checkpoint", HexEncode(receipt.checkpoint)},
      {"receipt", HexEncode(FormatReceipt(receipt))},
      {"journal head", HexEncode(EncodeJournalHeader(0, nonce))},
      {"journal frame", HexEncode(EncodeFrame(JournalRecord{0, {entry0}, first.sections}, 1, 0, nonce))},
  };
}

TEST(AuditFormatTest, TheWorkedExampleIsTrue) {
  const auto documented = DocumentedExample();
  const Example computed = ComputeExample();
  bool same = documented.size() == computed.size();
  for (const auto& [name, value] : computed) {
    const auto found = documented.find(name);
    EXPECT_TRUE(found != documented.end() && found->second == value) << name;
    same = same && found != documented.end() && found->second == value;
  }
  if (!same) {
    std::cout << "The code gives:\n";
    for (const auto& [name, value] : computed) std::cout << name << " = " << value << "\n";
  }
  EXPECT_EQ(documented.size(), computed.size());
}

TEST(AuditFormatTest, TheReceiptOfTheExampleVerifies) {
  const auto documented = DocumentedExample();
  ASSERT_EQ(documented.count("receipt"), 1u);
  const auto receipt = ParseReceipt(*HexDecode(documented.at("receipt")));
  ASSERT_TRUE(receipt.ok());
  const auto verified = VerifyReceipt(*receipt, std::nullopt, *NoteVerifier::Parse(documented.at("vkey")));
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->entry, documented.at("entry0"));
}

TEST(AuditFormatTest, EveryEventClassIsDocumented) {
  const std::string text = ReadWhole(CLOISTER_SOURCE_DIR "/audit/FORMAT.md");
  for (const std::string_view name : EventNames()) {
    EXPECT_NE(text.find("`" + std::string(name) + "`"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace cloister::audit

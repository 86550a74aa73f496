// SPDX-License-Identifier: Apache-2.0
#include "audit/envelope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "audit/canonical_json.h"
#include "audit/event_names.h"
#include "audit/test_support.h"

namespace cloister::audit {
namespace {

using ::testing::HasSubstr;

Stamp TestStamp() {
  return Stamp{WallTime(std::chrono::nanoseconds(1'800'000'000'123'456'789)), std::chrono::nanoseconds(42),
               std::string(32, 'b')};
}

std::string OneEntry(const Event& event, uint64_t seq = 7) {
  const auto record = PreparedRecord::New(event, "main");
  EXPECT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->entry_count(), 1u);
  return record->Entries(seq, TestStamp()).front();
}

TEST(EventNamesTest, AreDistinctAndOnlyGrow) {
  const auto& names = EventNames();
  EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), names.size());
  // The list of the first version, in its order. Append to the code, never to this line.
  EXPECT_EQ(names[0], "ask.intent");
  EXPECT_EQ(names[10], "document.quarantined");
  EXPECT_EQ(names[41], "clock.stepped");
  EXPECT_EQ(names[43], "backup.restored");
  EXPECT_GE(names.size(), 44u);
  EXPECT_FALSE(IsEventName("ask.unheard"));
  EXPECT_FALSE(IsEventName(""));
  EXPECT_TRUE(IsEmergency("breakglass.opened"));
  EXPECT_FALSE(IsEmergency("ask.intent"));
}

TEST(EnvelopeTest, IsCanonicalAndComplete) {
  Event event;
  event.name = "ask.intent";
  event.body_json = "{ \"mode\": \"hybrid\", \"hits\": 3 }";
  event.who = Actor{Actor::Kind::kUser, std::string(32, '1')};
  event.subjects = {*Pseudonym::FromHex(std::string(32, '2'))};
  event.sections = {SealedSection{*SectionId::FromHex(std::string(32, '3')), LeafHash("c"), "sealed", "key"}};
  const std::string entry = OneEntry(event);
  EXPECT_EQ(entry,
            "{\"body\":{\"hits\":3,\"mode\":\"hybrid\"},\"boot\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\","
            "\"event\":\"ask.intent\",\"mono\":\"42\",\"sections\":[{\"commitment\":\"" +
                HexEncode(LeafHash("c").bytes()) +
                "\",\"id\":\"33333333333333333333333333333333\"}],\"seq\":7,"
                "\"subjects\":[\"22222222222222222222222222222222\"],\"tenant\":\"main\","
                "\"time\":\"2027-01-15T08:00:00.123456789Z\",\"v\":1,"
                "\"who\":{\"kind\":\"user\",\"pseudonym\":\"11111111111111111111111111111111\"}}");
  EXPECT_EQ(*CanonicalJson(entry), entry);
  const auto parsed = ParseEnvelope(entry);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->event, "ask.intent");
  EXPECT_EQ(parsed->monotonic_ns, 42u);
  EXPECT_EQ(parsed->who.value, event.who.value);
  EXPECT_EQ(parsed->subjects, event.subjects);
  EXPECT_EQ(parsed->sections[0].commitment, LeafHash("c"));
  EXPECT_EQ(parsed->body_json, "{\"hits\":3,\"mode\":\"hybrid\"}");
}

TEST(EnvelopeTest, RefusesWhatItDoesNotKnow) {
  const auto error = [](const Event& event) { return PreparedRecord::New(event, "main").status(); };
  Event event = NumberedEvent(1);
  event.name = "ask.unheard";
  EXPECT_EQ(error(event).code(), StatusCode::kInvalidArgument);
  event = NumberedEvent(1);
  event.body_json = "[]";
  EXPECT_EQ(error(event).code(), StatusCode::kInvalidArgument);
  event.body_json = "{\"ok\":true}";
  EXPECT_THAT(MessageOf(error(event)), HasSubstr("ok"));
  event = NumberedEvent(1);
  event.who = Actor{Actor::Kind::kUser, "Jane Roe"};
  EXPECT_EQ(error(event).code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(error(event)), Not(HasSubstr("Jane")));
  event.who = Actor{Actor::Kind::kService, "two words"};
  EXPECT_EQ(error(event).code(), StatusCode::kInvalidArgument);
  event = NumberedEvent(1);
  event.subjects.resize(kSubjectsMax + 1);
  EXPECT_EQ(error(event).code(), StatusCode::kInvalidArgument);
  event.subjects.clear();
  event.sections.resize(kSectionsMax + 1);
  EXPECT_EQ(error(event).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(PreparedRecord::New(NumberedEvent(1), "two words").status().code(), StatusCode::kInvalidArgument);
}

TEST(EnvelopeTest, ABodyAsDeepAsAllowedStillParses) {
  Event event = NumberedEvent(1);
  event.body_json =
      "{\"a\":" + std::string(kJsonDepthMax - 2, '[') + std::string(kJsonDepthMax - 2, ']') + "}";
  EXPECT_TRUE(ParseEnvelope(OneEntry(event)).ok());
  event.body_json =
      "{\"a\":" + std::string(kJsonDepthMax - 1, '[') + std::string(kJsonDepthMax - 1, ']') + "}";
  EXPECT_FALSE(PreparedRecord::New(event, "main").ok());
}

// The worst of everything at once still fits entries.
TEST(EnvelopeTest, TheLargestRecordContinuesInEntriesThatFit) {
  Event event = NumberedEvent(1);
  std::string text;
  while (text.size() + 2 < kBodyBytesMax - 20) text += "\\\"";
  event.body_json = "{\"text\":\"" + text + "\"}";
  event.subjects.resize(kSubjectsMax);
  event.sections.resize(kSectionsMax);
  const auto record = PreparedRecord::New(event, "main");
  ASSERT_TRUE(record.ok()) << record.status();
  const auto entries = record->Entries((uint64_t{1} << 53) - 1000, TestStamp());
  ASSERT_GT(entries.size(), 1u);
  EXPECT_EQ(entries.size(), record->entry_count());
  size_t total = 0;
  std::string body;
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_LE(entries[i].size(), kEntryBytesMax);
    total += entries[i].size();
    const auto envelope = ParseEnvelope(entries[i]);
    ASSERT_TRUE(envelope.ok()) << envelope.status();
    EXPECT_EQ(envelope->part->number, i + 1);
    EXPECT_EQ(envelope->subjects.size(), i == 0 ? kSubjectsMax : 0);
    EXPECT_EQ(envelope->sections.size(), i == 0 ? kSectionsMax : 0);
    body += envelope->part->body_text;
  }
  EXPECT_LE(total, record->bytes_max());
  EXPECT_EQ(body, event.body_json);
}

TEST(EnvelopeTest, ACutNeverSplitsACharacter) {
  Event event = NumberedEvent(1);
  for (int shift = 0; shift < 4; ++shift) {
    std::string text(static_cast<size_t>(shift), 'x');
    while (text.size() < 3 * kEntryBytesMax) text += "\xf0\x9f\x98\x80";
    event.body_json = "{\"text\":\"" + text + "\"}";
    for (const std::string& entry : PreparedRecord::New(event, "main")->Entries(0, TestStamp())) {
      EXPECT_TRUE(ParseEnvelope(entry).ok());
    }
  }
}

TEST(EnvelopeTest, AnotherVersionIsNamed) {
  std::string entry = OneEntry(NumberedEvent(1));
  entry.replace(entry.find("\"v\":1"), 5, "\"v\":2");
  const Status status = ParseEnvelope(entry).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("version 2"));
}

TEST(EnvelopeTest, AMissingUnknownOrMalformedMemberIsDamage) {
  const std::string entry = OneEntry(NumberedEvent(1));
  const std::pair<const char*, const char*> changes[] = {
      {"\"mono\":\"42\",", ""},
      {"\"mono\":\"42\"", "\"mono\":\"042\""},
      {"\"mono\":\"42\"", "\"mono\":42"},
      {"\"seq\":7", "\"seq\":-7"},
      {"\"seq\":7", "\"seq\":\"7\""},
      {"\"time\":\"2027-", "\"time\":\"2027/"},
      {"\"subjects\":[]", "\"subjects\":{}"},
      {"\"subjects\":[]", "\"subjects\":[\"x\"]"},
      {"\"sections\":[]", "\"sections\":[7]"},
      {"\"sections\":[]", "\"sections\":[{\"id\":\"x\"}]"},
      {"\"kind\":\"service\"", "\"kind\":\"robot\""},
      {"\"tenant\":\"main\"", "\"tenant\":7"},
      {"{\"body\":{\"number\":1},", "{"},
      {"{\"body\":{\"number\":1}", "{\"alpha\":1,\"body\":{\"number\":1}"},
      {"{\"body\":{\"number\":1}", "{\"body\":[]"},
      {"\"v\":1,", ""},
  };
  for (const auto& [from, to] : changes) {
    std::string altered = entry;
    const size_t at = altered.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    altered.replace(at, std::string(from).size(), to);
    EXPECT_EQ(ParseEnvelope(altered).status().code(), StatusCode::kDataLoss) << from << " -> " << to;
  }
  EXPECT_EQ(ParseEnvelope(" " + entry).status().code(), StatusCode::kDataLoss);  // Not canonical.
  EXPECT_EQ(ParseEnvelope("").status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ParseEnvelope("\xff").status().code(), StatusCode::kDataLoss);
}

TEST(EnvelopeTest, AnUnknownEventNameOfALaterVersionIsReadable) {
  std::string entry = OneEntry(NumberedEvent(1));
  entry.replace(entry.find("config.changed"), 14, "future.happens");
  EXPECT_EQ(ParseEnvelope(entry)->event, "future.happens");
}

}  // namespace
}  // namespace cloister::audit

// SPDX-License-Identifier: Apache-2.0
#include "ingest/metadata.h"

#include <gtest/gtest.h>

namespace cloister::ingest {
namespace {

TEST(FrontMatterTest, ReadsAllKeys) {
  const std::string text =
      "---\ntitle: \"Leave: rules\"\nowner: 'HR'\nlanguage: en\nsubjects: [anna, 'b c']\neffective_from: 2026-01-01\n"
      "effective_to: 2026-12-31\nsuperseded_by: new.md\nclassification: internal\n---\nText";
  Metadata m;
  std::vector<Note> notes;
  EXPECT_EQ(ReadFrontMatter(text, m, notes), text.size() - 4);
  EXPECT_TRUE(notes.empty());
  EXPECT_EQ(m.title, "Leave: rules");
  EXPECT_EQ(m.owner, "HR");
  EXPECT_EQ(m.language, "en");
  EXPECT_EQ(m.subjects, (std::vector<std::string>{"anna", "b c"}));
  EXPECT_EQ(m.effective_from, "2026-01-01");
  EXPECT_EQ(m.effective_to, "2026-12-31");
  EXPECT_EQ(m.superseded_by, "new.md");
  EXPECT_EQ(m.classification, "internal");
}

TEST(FrontMatterTest, ReadsListsOnLinesAndWindowsLineEnds) {
  Metadata m;
  std::vector<Note> notes;
  EXPECT_GT(ReadFrontMatter("---\r\nsubjects:\r\n  - one\r\n  - \"two\"\r\n---\r\n", m, notes), 0u);
  EXPECT_EQ(m.subjects, (std::vector<std::string>{"one", "two"}));
}

TEST(FrontMatterTest, NotesUnknownKeyWithNearest) {
  Metadata m;
  std::vector<Note> notes;
  EXPECT_GT(ReadFrontMatter("---\ntitel: A\nowner: B\n---\n", m, notes), 0u);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(NoteMessage(notes[0]), "an unknown key in the metadata, line 2, was ignored; the nearest known one is title");
  EXPECT_EQ(m.title, "");
  EXPECT_EQ(m.owner, "B");
}

TEST(FrontMatterTest, NotesInvalidValues) {
  Metadata m;
  std::vector<Note> notes;
  const std::string long_name(kNameBytesMax + 1, 'x');
  EXPECT_GT(ReadFrontMatter("---\neffective_from: 2026-02-29\nowner: [a, b]\nclassification: " + long_name + "\n---\n", m, notes), 0u);
  EXPECT_EQ(notes.size(), 3u);
  EXPECT_EQ(m, Metadata());
}

TEST(FrontMatterTest, LeavesProseAlone) {
  for (const char* text : {"Text\n---\n", "---\nA rule, then prose: with a colon.\n---\n", "--- \nno colon\n", "", "---"}) {
    Metadata m;
    std::vector<Note> notes;
    EXPECT_EQ(ReadFrontMatter(text, m, notes), 0u) << text;
    EXPECT_EQ(m, Metadata());
  }
}

TEST(FrontMatterTest, NotesMissingEnd) {
  Metadata m;
  std::vector<Note> notes;
  EXPECT_EQ(ReadFrontMatter("---\ntitle: A\n", m, notes), 0u);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].code, NoteCode::kMetadataNotClosed);
  EXPECT_EQ(m, Metadata());
}

TEST(DateTest, AcceptsOnlyDaysThatExist) {
  for (const char* good : {"", "2026-11-22", "2024-02-29", "2000-02-29", "0001-01-01"}) EXPECT_TRUE(IsIsoDateOrEmpty(good)) << good;
  for (const char* bad : {"2026-13-01", "2026-00-10", "2026-04-31", "1900-02-29", "2026-1-1", "22.11.2026", "2026-11-22T", "2026-11-2x"}) {
    EXPECT_FALSE(IsIsoDateOrEmpty(bad)) << bad;
  }
}

}  // namespace
}  // namespace cloister::ingest

// SPDX-License-Identifier: Apache-2.0
#include "ingest/chunker.h"

#include <gtest/gtest.h>

#include "ingest/embedding_text.h"
#include "ingest/markdown_parser.h"
#include "ingest/test_documents.h"
#include "ingest/token_estimate.h"

namespace cloister::ingest {
namespace {

ParsedDocument Parse(const std::string& markdown) {
  ParseResult result = ParseMarkdown(markdown, {});
  EXPECT_FALSE(result.refused);
  CheckInvariants(result.document);
  return std::move(result.document);
}

std::string TextOf(const ParsedDocument& document, const Chunk& chunk) {
  return document.text.substr(chunk.start, chunk.end - chunk.start);
}

std::string Paragraphs(int count, int sentences = 4) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    for (int s = 0; s < sentences; ++s) text += "The ward opens at nine and closes at five on every working day. ";
    text += "\n\n";
  }
  return text;
}

TEST(ChunkerTest, AimsAtTheSizeAndKeepsTheMaximum) {
  const ParsedDocument document = Parse(Paragraphs(40));
  const auto chunks = ChunkDocument(document, {});
  ASSERT_GT(chunks.size(), 5u);
  for (const Chunk& chunk : chunks) {
    const uint32_t tokens = EstimateTokens(TextOf(document, chunk));
    EXPECT_GE(tokens, 120u);
    EXPECT_LE(tokens, 280u);
  }
}

TEST(ChunkerTest, NeverExceedsTheMaximum) {
  ChunkOptions options;
  options.tokens_aim = 60;
  options.tokens_max = 64;
  const ParsedDocument document = Parse(Paragraphs(3, 40) + "- a\n- b\n\n# H\n\n## I\n\n### J\n\n" + Paragraphs(2));
  for (const Chunk& chunk : ChunkDocument(document, options)) EXPECT_LE(EstimateTokens(TextOf(document, chunk)), 64u);
}

TEST(ChunkerTest, NeverCrossesATopLevelSection) {
  const ParsedDocument document = Parse("# Title\n\n## One\n\nShort one.\n\n## Two\n\nShort two.\n");
  const auto chunks = ChunkDocument(document, {});
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].section, std::vector<std::string>{"One"});
  EXPECT_EQ(chunks[1].section, std::vector<std::string>{"Two"});
  EXPECT_EQ(TextOf(document, chunks[0]), "Title\n\nOne\n\nShort one.");
}

TEST(ChunkerTest, KeepsAHeadingWithItsText) {
  const ParsedDocument document = Parse("# T\n\n## A\n\n" + Paragraphs(3) + "### B\n\n" + Paragraphs(3) + "### C\n\n" + Paragraphs(3));
  for (const Chunk& chunk : ChunkDocument(document, {})) {
    EXPECT_NE(chunk.sentences.back().kind, SentenceKind::kHeading);
  }
}

TEST(ChunkerTest, NamesTheSectionsOfAChunk) {
  const ParsedDocument document = Parse("# T\n\n## A\n\n### B\n\n" + Paragraphs(4) + "### C\n\n" + Paragraphs(4));
  const auto chunks = ChunkDocument(document, {});
  EXPECT_EQ(chunks.front().section, (std::vector<std::string>{"A", "B"}));
  EXPECT_EQ(chunks.back().section, (std::vector<std::string>{"A", "C"}));
}

TEST(ChunkerTest, KeepsAListWithWhatItHangsOn) {
  std::string text = Paragraphs(3, 3) + "A record may be given out only when:\n\n";
  for (char c = 'a'; c <= 'j'; ++c) text += std::string("(") + c + ") the person who asks has shown the right of access to it;\n\n";
  const ParsedDocument document = Parse(text + Paragraphs(3, 3));
  size_t hanging = 0;
  for (const Chunk& chunk : ChunkDocument(document, {})) {
    for (const ChunkSentence& s : chunk.sentences) {
      if (s.kind != SentenceKind::kListItem) continue;
      ++hanging;
      ASSERT_GE(s.lead_in, 0);
      const ChunkSentence& lead_in = chunk.sentences[static_cast<size_t>(s.lead_in)];
      EXPECT_EQ(document.text.substr(lead_in.start, lead_in.end - lead_in.start), "A record may be given out only when:");
    }
  }
  EXPECT_EQ(hanging, 10u);
}

TEST(ChunkerTest, ContextReachesAcrossChunks) {
  std::string text = "It applies when:\n\n";
  for (int i = 1; i <= 60; ++i) text += "(" + std::to_string(i) + ") the person who asks has shown a right of access to the record at hand;\n\n";
  const ParsedDocument document = Parse(text);
  const auto chunks = ChunkDocument(document, {});
  ASSERT_GT(chunks.size(), 2u);
  const ChunkSentence& last = chunks.back().sentences.back();
  EXPECT_EQ(last.lead_in, -1);
  EXPECT_EQ(document.text.substr(last.context.start, last.context.end - last.context.start), "It applies when:");
}

TEST(ChunkerTest, PutsOneBoxOnEachLine) {
  ParsedDocument document;
  document.text = "one two three four";
  document.pages = 1;
  document.blocks = {{BlockKind::kParagraph, 0, false, 0, 18}};
  document.words = {{0, 3, 1, 10, 10, 30, 20}, {4, 7, 1, 35, 10, 55, 20}, {8, 13, 1, 10, 25, 40, 35}, {14, 18, 1, 45, 25, 60, 35}};
  const auto chunks = ChunkDocument(document, {});
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].page_first, 1u);
  EXPECT_EQ(chunks[0].page_last, 1u);
  const auto& boxes = chunks[0].sentences[0].boxes;
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].x0, 10);
  EXPECT_EQ(boxes[0].x1, 55);
  EXPECT_EQ(boxes[1].y0, 25);
  EXPECT_EQ(boxes[1].x1, 60);
}

TEST(ChunkerTest, StaysLinearOnAMillionTinyBlocks) {
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += i % 3 == 0 ? "###### x\n\n" : "\xC2\xA7\n\n";
  const ParseResult result = ParseMarkdown(text, {});
  ASSERT_FALSE(result.refused);
  EXPECT_GT(ChunkDocument(result.document, {}).size(), 100u);
}

TEST(TitleTest, PrefersMetadataThenHeadingThenName) {
  ParsedDocument document = Parse("# Heading\n\ntext\n");
  EXPECT_EQ(TitleOf(document, "a/b.md"), "Heading");
  document.metadata.title = "Declared";
  EXPECT_EQ(TitleOf(document, "a/b.md"), "Declared");
  EXPECT_EQ(TitleOf(Parse("text\n"), "a/160-306-complaints_to.the.md"), "160 306 complaints to.the");
  EXPECT_EQ(TitleOf(Parse("# One\n\n# Two\n"), "x/.md"), ".md");
}

TEST(EmbeddingTextTest, AddsTitleSectionAndContext) {
  const ParsedDocument document = Parse("# T\n\n## Rules\n\n### Access\n\nAsk if:\n\n(a) you may; or\n\n(b) you must.\n");
  const auto chunks = ChunkDocument(document, {});
  ASSERT_EQ(chunks.size(), 1u);
  const std::string title = TitleOf(document, "x.md");
  EXPECT_EQ(ChunkEmbeddingText(title, document, chunks[0]), "T\nRules > Access\n" + document.text);
  const ChunkSentence& item = chunks[0].sentences.back();
  EXPECT_EQ(SentenceContextText(title, document, item), "T\nAsk if:\nyou must.");
  EXPECT_EQ(SentenceAloneText(document, item), "you must.");
}

TEST(TokenEstimateTest, CountsPieces) {
  EXPECT_EQ(EstimateTokens(""), 0u);
  EXPECT_EQ(EstimateTokens("The ward opens."), 4u);
  EXPECT_EQ(EstimateTokens("internationalisation"), 5u);
  EXPECT_EQ(EstimateTokens("12,345.67"), 5u);
  EXPECT_EQ(EstimateTokens("\xC2\xA7 1"), 2u);
}

}  // namespace
}  // namespace cloister::ingest

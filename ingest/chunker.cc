// SPDX-License-Identifier: Apache-2.0
#include "ingest/chunker.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "ingest/token_estimate.h"

namespace cloister::ingest {
namespace {

// What a border costs, against the squared relative distance from the size aimed at. Found by reading chunks of the
// regulations: lists stay whole, short sections stay alone.
constexpr double kCostInsideBlock = 0.7;       // Between two sentences of one paragraph.
constexpr double kCostAfterLeadIn = 1.5;       // Between "... if:" and its first item.
constexpr double kCostListItem = 0.25;         // Before a list item, and kCostLevel more for each level.
constexpr double kCostLevel = 0.1;
constexpr double kCostListApart = 0.3;         // And more when the item would lose what it hangs on.
constexpr double kCostTableRow = 0.3;
constexpr double kCostHeadingInside = 0.35;    // A heading that does not start its chunk.
constexpr double kCostAfterHeading = 50;       // A heading apart from its text.
constexpr double kCostOverMax = 1000;          // More tokens than allowed; only when one sentence has them.

std::string CutAtSpace(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  size_t end = text.rfind(' ', bytes_max);
  if (end == std::string_view::npos || end == 0) {
    end = bytes_max;
    while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  }
  return std::string(text.substr(0, end));
}

// The outermost heading level that counts as sections: a single first heading at the top is the title.
bool OpensWithTitle(const ParsedDocument& document) {
  const auto& blocks = document.blocks;
  if (blocks.empty() || blocks[0].kind != BlockKind::kHeading) return false;
  return std::none_of(blocks.begin() + 1, blocks.end(), [&](const Block& block) {
    return block.kind == BlockKind::kHeading && block.level <= blocks[0].level;
  });
}

// A piece that is never divided: one sentence, or a block that has none (a bare marker).
struct Unit {
  uint32_t start, end;
  uint32_t block;
  uint32_t tokens;
  std::optional<uint32_t> sentence;
  bool hard_border = false;  // A top-level section starts here.
};

class Chunker {
 public:
  Chunker(const ParsedDocument& document, const ChunkOptions& options)
      : document_(document), options_(options), sentences_(FindSentences(document)) {
    options_.tokens_max = std::max<uint32_t>(options_.tokens_max, 32);
    options_.tokens_aim = std::clamp<uint32_t>(options_.tokens_aim, 32, options_.tokens_max);
  }

  std::vector<Chunk> Run() {
    MakeUnits();
    MakeSectionPaths();
    std::vector<Chunk> chunks;
    for (size_t from = 0; from < units_.size();) {
      size_t to = from + 1;
      while (to < units_.size() && !units_[to].hard_border) ++to;
      Divide(from, to, chunks);
      from = to;
    }
    return chunks;
  }

 private:
  void MakeUnits() {
    uint8_t top = std::numeric_limits<uint8_t>::max();
    const size_t first = OpensWithTitle(document_) ? 1 : 0;
    for (size_t i = first; i < document_.blocks.size(); ++i) {
      if (document_.blocks[i].kind == BlockKind::kHeading) top = std::min(top, document_.blocks[i].level);
    }
    size_t next = 0;
    for (uint32_t i = 0; i < document_.blocks.size(); ++i) {
      const Block& block = document_.blocks[i];
      const size_t before = units_.size();
      for (; next < sentences_.size() && sentences_[next].block == i; ++next) {
        const Sentence& sentence = sentences_[next];
        AddUnit(sentence.start, sentence.end, i, static_cast<uint32_t>(next));
      }
      if (units_.size() == before) AddUnit(block.start, block.end, i, std::nullopt);
      units_[before].hard_border = i >= std::max<size_t>(first, 1) && block.kind == BlockKind::kHeading &&
                                   block.level == top && !AfterOpeningHeading(i);
    }
  }

  // The first section directly under the title keeps the title with it.
  bool AfterOpeningHeading(uint32_t block) const { return block == 1 && document_.blocks[0].kind == BlockKind::kHeading; }

  void AddUnit(uint32_t start, uint32_t end, uint32_t block, std::optional<uint32_t> sentence) {
    // At least 1, so that no number of units fits in one chunk.
    const uint32_t tokens = std::max(1u, EstimateTokens(std::string_view(document_.text).substr(start, end - start)));
    units_.push_back({start, end, block, tokens, sentence});
  }

  // A heading and those above it. Shared, because many paths of long headings would not fit in memory.
  struct PathNode {
    int32_t parent = -1;
    uint32_t block = 0;  // The heading.
    size_t depth = 0;    // 0: outside of any section.
  };

  void MakeSectionPaths() {
    const bool title = OpensWithTitle(document_);
    std::vector<int32_t> open;  // Nodes of growing heading level.
    nodes_.push_back({});
    for (uint32_t i = 0; i < document_.blocks.size(); ++i) {
      const Block& block = document_.blocks[i];
      if (block.kind == BlockKind::kHeading && !(i == 0 && title)) {
        while (!open.empty() && LevelOf(open.back()) >= block.level) open.pop_back();
        const int32_t parent = open.empty() ? 0 : open.back();
        if (open.size() < kSectionDepthMax) {
          nodes_.push_back({parent, i, open.size() + 1});
          open.push_back(static_cast<int32_t>(nodes_.size()) - 1);
        }
      }
      path_of_block_.push_back(open.empty() ? 0 : open.back());
    }
  }

  uint8_t LevelOf(int32_t node) const { return document_.blocks[Node(node).block].level; }
  const PathNode& Node(int32_t index) const { return nodes_[static_cast<size_t>(index)]; }

  double BorderCost(size_t unit) const {
    const Unit& before = units_[unit - 1];
    const Unit& after = units_[unit];
    if (before.block == after.block) return kCostInsideBlock;
    const Block& left = document_.blocks[before.block];
    const Block& right = document_.blocks[after.block];
    if (left.kind == BlockKind::kHeading) return kCostAfterHeading;
    if (right.kind == BlockKind::kHeading) return 0;
    if (right.kind == BlockKind::kTableRow) return left.kind == BlockKind::kTableRow ? kCostTableRow : kCostAfterLeadIn;
    const bool child = right.kind == BlockKind::kListItem && right.level > left.level;
    const bool opens = document_.text[left.end - 1] == ':' || !before.sentence.has_value();
    if (child && (opens || right.explicit_list)) return kCostAfterLeadIn;
    if (right.kind == BlockKind::kListItem) {
      const bool hangs = after.sentence && sentences_[*after.sentence].lead_in >= 0;
      return kCostListItem + kCostLevel * (right.level - 1) + (hangs ? kCostListApart : 0);
    }
    return opens ? kCostAfterLeadIn : 0;
  }

  double SizeCost(uint32_t tokens, size_t units) const {
    if (tokens > options_.tokens_max && units > 1) return kCostOverMax * tokens / options_.tokens_max;
    const double aim = options_.tokens_aim;
    const double off = (tokens - aim) / aim;
    return off * off;
  }

  // The cheapest division of units [from, to) into chunks, by dynamic programming from the front.
  void Divide(size_t from, size_t to, std::vector<Chunk>& chunks) const {
    const size_t count = to - from;
    std::vector<double> best(count + 1, std::numeric_limits<double>::infinity());
    std::vector<size_t> previous(count + 1, 0);
    best[0] = 0;
    for (size_t end = 1; end <= count; ++end) {
      uint32_t tokens = 0;
      double inside = 0;
      for (size_t start = end; start-- > 0;) {
        const Unit& unit = units_[from + start];
        tokens += unit.tokens;
        if (tokens > options_.tokens_max && start + 1 < end) break;
        const double cost = best[start] + (start > 0 ? BorderCost(from + start) : 0) + SizeCost(tokens, end - start) + inside;
        if (cost < best[end]) {
          best[end] = cost;
          previous[end] = start;
        }
        if (document_.blocks[unit.block].kind == BlockKind::kHeading) inside += kCostHeadingInside;
      }
    }
    std::vector<size_t> borders;
    for (size_t end = count; end > 0; end = previous[end]) borders.push_back(end);
    std::reverse(borders.begin(), borders.end());
    size_t start = 0;
    for (const size_t end : borders) {
      chunks.push_back(MakeChunk(from + start, from + end));
      start = end;
    }
  }

  Chunk MakeChunk(size_t from, size_t to) const {
    Chunk chunk;
    chunk.start = units_[from].start;
    chunk.end = units_[to - 1].end;
    chunk.section = CommonSection(from, to);
    int32_t first_sentence = -1;
    for (size_t i = from; i < to; ++i) {
      if (!units_[i].sentence) continue;
      const uint32_t index = *units_[i].sentence;
      if (first_sentence < 0) first_sentence = static_cast<int32_t>(index);
      const Sentence& sentence = sentences_[index];
      ChunkSentence out;
      out.start = sentence.start;
      out.end = sentence.end;
      out.kind = sentence.kind;
      out.lead_in = sentence.lead_in >= first_sentence ? sentence.lead_in - first_sentence : -1;
      out.boxes = Boxes(sentence.start, sentence.end);
      out.context = ContextOf(index);
      chunk.sentences.push_back(std::move(out));
    }
    SetPages(chunk);
    return chunk;
  }

  // What all of the chunk has in common; headings alone do not count against it.
  std::vector<std::string> CommonSection(size_t from, size_t to) const {
    int32_t common = -1;
    for (size_t i = from; i < to; ++i) {
      const bool heading = document_.blocks[units_[i].block].kind == BlockKind::kHeading;
      if (heading && to - from > 1) continue;
      int32_t path = path_of_block_[units_[i].block];
      if (common < 0) common = path;
      while (Node(path).depth > Node(common).depth) path = Node(path).parent;
      while (Node(common).depth > Node(path).depth) common = Node(common).parent;
      while (common != path) common = Node(common).parent, path = Node(path).parent;
    }
    if (common < 0) common = path_of_block_[units_[from].block];
    std::vector<std::string> section;
    for (; Node(common).depth > 0; common = Node(common).parent) {
      const Block& block = document_.blocks[Node(common).block];
      const std::string_view text = std::string_view(document_.text).substr(block.start, block.end - block.start);
      section.push_back(CutAtSpace(text, kSectionBytesMax));
    }
    std::reverse(section.begin(), section.end());
    return section;
  }

  Range ContextOf(uint32_t index) const {
    const Sentence& sentence = sentences_[index];
    if (sentence.lead_in >= 0) {
      const Sentence& lead_in = sentences_[static_cast<size_t>(sentence.lead_in)];
      return {lead_in.start, lead_in.end};
    }
    if (index == 0 || sentence.kind == SentenceKind::kHeading) return {};
    const Sentence& before = sentences_[index - 1];
    if (path_of_block_[before.block] != path_of_block_[sentence.block]) return {};
    if (before.kind == SentenceKind::kHeading) return {};  // The section path says it already.
    return {before.start, before.end};
  }

  // One box for each line that the words of [start, end) stand on.
  std::vector<PageBox> Boxes(uint32_t start, uint32_t end) const {
    std::vector<PageBox> boxes;
    auto word = std::lower_bound(document_.words.begin(), document_.words.end(), start,
                                 [](const WordBox& w, uint32_t offset) { return w.end <= offset; });
    for (; word != document_.words.end() && word->start < end; ++word) {
      if (!boxes.empty()) {
        PageBox& line = boxes.back();
        const float overlap = std::min(line.y1, word->y1) - std::max(line.y0, word->y0);
        const float height = std::min(line.y1 - line.y0, word->y1 - word->y0);
        const bool full = boxes.size() >= kBoxesPerSentenceMax;
        if (full && line.page != word->page) break;
        if (full || (line.page == word->page && overlap >= 0.5f * height && word->x0 >= line.x0)) {
          line.x0 = std::min(line.x0, word->x0);
          line.x1 = std::max(line.x1, word->x1);
          line.y0 = std::min(line.y0, word->y0);
          line.y1 = std::max(line.y1, word->y1);
          continue;
        }
      }
      boxes.push_back({word->page, word->x0, word->y0, word->x1, word->y1});
    }
    return boxes;
  }

  void SetPages(Chunk& chunk) const {
    auto word = std::lower_bound(document_.words.begin(), document_.words.end(), chunk.start,
                                 [](const WordBox& w, uint32_t offset) { return w.end <= offset; });
    for (; word != document_.words.end() && word->start < chunk.end; ++word) {
      if (chunk.page_first == 0 || word->page < chunk.page_first) chunk.page_first = word->page;
      chunk.page_last = std::max(chunk.page_last, word->page);
    }
  }

  const ParsedDocument& document_;
  ChunkOptions options_;
  std::vector<Sentence> sentences_;
  std::vector<Unit> units_;
  std::vector<PathNode> nodes_;
  std::vector<int32_t> path_of_block_;
};

}  // namespace

std::vector<Chunk> ChunkDocument(const ParsedDocument& document, const ChunkOptions& options) {
  return Chunker(document, options).Run();
}

std::string TitleOf(const ParsedDocument& document, std::string_view source) {
  if (!document.metadata.title.empty()) return CutAtSpace(document.metadata.title, kMetadataBytesMax);
  if (OpensWithTitle(document)) {
    const Block& block = document.blocks[0];
    return CutAtSpace(std::string_view(document.text).substr(block.start, block.end - block.start), kMetadataBytesMax);
  }
  const size_t slash = source.rfind('/');
  std::string_view name = slash == std::string_view::npos ? source : source.substr(slash + 1);
  if (const size_t dot = name.rfind('.'); dot != std::string_view::npos && dot > 0) name = name.substr(0, dot);
  std::string title;
  for (const char c : name) {
    const bool gap = c == '-' || c == '_' || c == ' ';
    if (gap && (title.empty() || title.back() == ' ')) continue;
    title += gap ? ' ' : c;
  }
  while (!title.empty() && title.back() == ' ') title.pop_back();
  return CutAtSpace(title.empty() ? std::string(name) : title, kMetadataBytesMax);
}

}  // namespace cloister::ingest

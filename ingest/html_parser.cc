// SPDX-License-Identifier: Apache-2.0
#include "ingest/html_parser.h"

#include <gumbo.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "ingest/metadata.h"
#include "ingest/text_normaliser.h"

namespace cloister::ingest {
namespace {

constexpr size_t kCharsetSearchBytes = 4096;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// The charset a <meta> near the top names. SPEC: html.spec.whatwg.org 13.2.3.2, without its corner cases.
std::string DeclaredCharset(std::string_view bytes) {
  const std::string head = Lower(bytes.substr(0, kCharsetSearchBytes));
  for (size_t at = head.find("<meta"); at != std::string::npos; at = head.find("<meta", at + 5)) {
    // A declaration in a comment does not count.
    const size_t comment = head.rfind("<!--", at);
    if (comment != std::string::npos && head.find("-->", comment) > at) continue;
    const std::string_view tag = std::string_view(head).substr(at, head.find('>', at) - at);
    size_t value = tag.find("charset");
    if (value == std::string_view::npos) continue;
    value = tag.find_first_not_of(" \t=\"'", value + 7);
    if (value == std::string_view::npos) continue;
    return std::string(tag.substr(value, tag.find_first_of(" \t\"';/>", value) - value));
  }
  return {};
}

std::string_view Attribute(const GumboNode& node, const char* name) {
  const GumboAttribute* attribute = gumbo_get_attribute(&node.v.element.attributes, name);
  return attribute != nullptr ? std::string_view(attribute->value) : std::string_view();
}

bool IsHidden(const GumboNode& node) {
  if (gumbo_get_attribute(&node.v.element.attributes, "hidden") != nullptr) return true;
  std::string style = Lower(Attribute(node, "style"));
  std::erase(style, ' ');
  return style.find("display:none") != std::string::npos || style.find("visibility:hidden") != std::string::npos;
}

bool IsSkipped(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_NOFRAMES:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_SVG:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_INPUT:
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_TITLE:
      return true;
    default:
      return false;
  }
}

bool IsInline(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_A: case GUMBO_TAG_ABBR: case GUMBO_TAG_ACRONYM: case GUMBO_TAG_B: case GUMBO_TAG_BDI:
    case GUMBO_TAG_BDO: case GUMBO_TAG_BIG: case GUMBO_TAG_CITE: case GUMBO_TAG_CODE: case GUMBO_TAG_DATA:
    case GUMBO_TAG_DEL: case GUMBO_TAG_DFN: case GUMBO_TAG_EM: case GUMBO_TAG_FONT: case GUMBO_TAG_I:
    case GUMBO_TAG_IMG: case GUMBO_TAG_INS: case GUMBO_TAG_KBD: case GUMBO_TAG_LABEL: case GUMBO_TAG_MARK:
    case GUMBO_TAG_Q: case GUMBO_TAG_S: case GUMBO_TAG_SAMP: case GUMBO_TAG_SMALL: case GUMBO_TAG_SPAN:
    case GUMBO_TAG_STRIKE: case GUMBO_TAG_STRONG: case GUMBO_TAG_SUB: case GUMBO_TAG_SUP: case GUMBO_TAG_TIME:
    case GUMBO_TAG_TT: case GUMBO_TAG_U: case GUMBO_TAG_VAR: case GUMBO_TAG_WBR: case GUMBO_TAG_UNKNOWN:
      return true;
    default:
      return false;
  }
}

uint8_t HeadingLevel(GumboTag tag) {
  return tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6 ? static_cast<uint8_t>(tag - GUMBO_TAG_H1 + 1) : uint8_t{0};
}

bool IsListTag(GumboTag tag) { return tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL || tag == GUMBO_TAG_MENU; }

// Walks the tree without recursion: depth is the attacker's to choose.
class HtmlReader {
 public:
  explicit HtmlReader(DocumentBuilder& out) : out_(out) {}

  // False when the tree is too deep.
  bool Run(const GumboNode& root) {
    struct Step {
      const GumboNode* node;
      unsigned child;
    };
    std::vector<Step> path{{&root, 0}};
    Enter(root);
    while (!path.empty() && !out_.full()) {
      Step& step = path.back();
      const GumboVector* children = ChildrenOf(*step.node);
      if (children == nullptr || step.child >= children->length) {
        Leave(*step.node);
        path.pop_back();
        continue;
      }
      const auto* child = static_cast<const GumboNode*>(children->data[step.child++]);
      if (child->type == GUMBO_NODE_TEXT || child->type == GUMBO_NODE_WHITESPACE || child->type == GUMBO_NODE_CDATA) {
        text_ += child->v.text.text;
      } else if (child->type == GUMBO_NODE_ELEMENT && Enter(*child)) {
        if (path.size() >= kHtmlDepthMax) return false;
        path.push_back({child, 0});
      }
    }
    Flush();
    return true;
  }

 private:
  struct List {
    bool ordered;
    uint32_t next;
  };

  static const GumboVector* ChildrenOf(const GumboNode& node) {
    if (node.type == GUMBO_NODE_DOCUMENT) return &node.v.document.children;
    return node.type == GUMBO_NODE_ELEMENT ? &node.v.element.children : nullptr;
  }

  // False: the element and all in it is left out.
  bool Enter(const GumboNode& node) {
    if (node.type != GUMBO_NODE_ELEMENT) return true;
    const GumboTag tag = node.v.element.tag;
    if (tag == GUMBO_TAG_META) {
      Meta(node);
      return false;
    }
    if (IsSkipped(tag) || IsHidden(node)) return false;
    if (tag == GUMBO_TAG_HTML) SetMetadata("language", {std::string(Attribute(node, "lang"))}, 0, out_.metadata(), ignored_);
    if (tag == GUMBO_TAG_BR) text_ += pre_ > 0 ? "\n" : " ";
    if (tag == GUMBO_TAG_IMG) Image(node);
    if (!IsInline(tag) && tag != GUMBO_TAG_BR) Block(tag, node);
    return true;
  }

  void Block(GumboTag tag, const GumboNode& node) {
    if (cell_ != nullptr) {
      text_ += ' ';  // Paragraphs in a cell are one cell.
      return;
    }
    Flush();
    if (IsListTag(tag)) lists_.push_back({tag == GUMBO_TAG_OL, StartOf(node)});
    if (tag == GUMBO_TAG_LI || tag == GUMBO_TAG_DD) OpenItem(tag);
    if (tag == GUMBO_TAG_PRE) ++pre_;
    if (tag == GUMBO_TAG_BLOCKQUOTE) ++quotes_;
    if (IsCellTag(tag) && !IsLayoutCell(node)) {
      cell_ = &node;
    } else if (IsCellTag(tag) || tag == GUMBO_TAG_TR) {
      EmitRow();
    }
    heading_ = HeadingLevel(tag) > 0 ? HeadingLevel(tag) : heading_;
  }

  static bool IsCellTag(GumboTag tag) { return tag == GUMBO_TAG_TD || tag == GUMBO_TAG_TH; }

  // Old pages lay whole columns out in a cell; those are not rows of data.
  static bool IsLayoutCell(const GumboNode& node) {
    const GumboVector& children = node.v.element.children;
    int paragraphs = 0;
    for (unsigned i = 0; i < children.length; ++i) {
      const auto* child = static_cast<const GumboNode*>(children.data[i]);
      if (child->type != GUMBO_NODE_ELEMENT) continue;
      const GumboTag tag = child->v.element.tag;
      if (tag == GUMBO_TAG_P) ++paragraphs;
      if (HeadingLevel(tag) > 0 || IsListTag(tag) || tag == GUMBO_TAG_TABLE || tag == GUMBO_TAG_PRE) return true;
    }
    return paragraphs > 1;
  }

  void EmitRow() {
    if (!cells_.empty()) out_.AddTableRow(cells_);
    cells_.clear();
  }

  void OpenItem(GumboTag tag) {
    item_ = true;
    if (tag == GUMBO_TAG_LI && !lists_.empty() && lists_.back().ordered) {
      prefix_ = std::to_string(lists_.back().next++) + ". ";
    }
  }

  void Leave(const GumboNode& node) {
    if (node.type != GUMBO_NODE_ELEMENT || IsInline(node.v.element.tag)) return;
    const GumboTag tag = node.v.element.tag;
    if (tag == GUMBO_TAG_BR) return;
    if (cell_ != nullptr) {
      if (cell_ != &node) return;
      cells_.push_back(std::move(text_));
      text_.clear();
      cell_ = nullptr;
      return;
    }
    Flush();
    if (tag == GUMBO_TAG_TR) EmitRow();
    if (HeadingLevel(tag) > 0) heading_ = 0;
    if (IsListTag(tag) && !lists_.empty()) lists_.pop_back();
    if (tag == GUMBO_TAG_LI || tag == GUMBO_TAG_DD) item_ = false, prefix_.clear();
    if (tag == GUMBO_TAG_PRE) --pre_;
    if (tag == GUMBO_TAG_BLOCKQUOTE) --quotes_;
  }

  void Flush() {
    if (text_.find_first_not_of(" \t\n\r\f") == std::string::npos) {
      text_.clear();
      return;
    }
    const uint32_t depth = static_cast<uint32_t>(lists_.size()) + quotes_;
    if (heading_ > 0) {
      out_.AddHeading(heading_, text_);
    } else if (pre_ > 0) {
      out_.AddCode(text_);
    } else if (item_) {
      out_.AddListItem(prefix_ + text_, depth > 0 ? depth - 1 : 0);
    } else {
      out_.AddParagraph(text_, depth);
    }
    text_.clear();
    item_ = false;
    prefix_.clear();
  }

  void Image(const GumboNode& node) {
    if (const std::string_view alt = Attribute(node, "alt"); !alt.empty()) (text_ += ' ').append(alt) += ' ';
  }

  static uint32_t StartOf(const GumboNode& node) {
    const std::string_view start = Attribute(node, "start");
    uint32_t value = 0;
    for (const char c : start.substr(0, 6)) {
      if (c < '0' || c > '9') return 1;
      value = value * 10 + static_cast<uint32_t>(c - '0');
    }
    return start.empty() ? 1 : value;
  }

  void Meta(const GumboNode& node) {
    const std::string name = Lower(Attribute(node, "name"));
    const auto& keys = MetadataKeys();
    // Pages carry many meta names of others; only ours are read, and an unknown one is nothing to note.
    if (name == "title" || std::find(keys.begin(), keys.end(), name) == keys.end()) return;
    std::vector<std::string> values;
    std::string_view content = Attribute(node, "content");
    while (!content.empty()) {
      const size_t comma = name == "subjects" ? content.find(',') : std::string_view::npos;
      std::string value = NormaliseText(content.substr(0, comma), Whitespace::kCollapse);
      if (!value.empty()) values.push_back(std::move(value));
      content = comma == std::string_view::npos ? std::string_view() : content.substr(comma + 1);
    }
    SetMetadata(name, values, node.v.element.start_pos.line, out_.metadata(), out_.notes());
  }

  DocumentBuilder& out_;
  std::string text_;
  std::string prefix_;
  std::vector<List> lists_;
  std::vector<std::string> cells_;
  std::vector<Note> ignored_;
  uint32_t quotes_ = 0;
  int pre_ = 0;
  uint8_t heading_ = 0;
  bool item_ = false;
  const GumboNode* cell_ = nullptr;  // The table cell the walk is in.
};

// The text of the first <title> in document order.
void ReadTitle(const GumboNode& root, Metadata& metadata, std::vector<Note>& notes) {
  std::vector<const GumboNode*> open{&root};
  constexpr int kNodesMax = 2000;  // The title is near the top.
  for (int visited = 0; !open.empty() && visited < kNodesMax; ++visited) {
    const GumboNode* node = open.back();
    open.pop_back();
    if (node->type != GUMBO_NODE_ELEMENT) continue;
    const GumboVector& children = node->v.element.children;
    if (node->v.element.tag == GUMBO_TAG_TITLE && children.length > 0) {
      const auto* text = static_cast<const GumboNode*>(children.data[0]);
      if (text->type == GUMBO_NODE_TEXT) {
        std::string title = NormaliseText(text->v.text.text, Whitespace::kCollapse);
        if (!title.empty() && title.size() <= kMetadataBytesMax) metadata.title = std::move(title);
        return;
      }
    }
    for (unsigned i = children.length; i > 0; --i) open.push_back(static_cast<const GumboNode*>(children.data[i - 1]));
  }
}

}  // namespace

ParseResult ParseHtml(std::string_view bytes, const ParseLimits& limits) {
  const DecodedText decoded = DecodeText(bytes, DeclaredCharset(bytes));
  if (decoded.binary) return Refuse(Refusal::kNotText);
  DocumentBuilder out(limits);
  if (decoded.replaced > 0) out.notes().push_back({NoteCode::kCharactersReplaced, decoded.replaced});
  GumboOptions options = kGumboDefaultOptions;
  options.max_errors = 0;
  GumboOutput* tree = gumbo_parse_with_options(&options, decoded.text.data(), decoded.text.size());
  ReadTitle(*tree->root, out.metadata(), out.notes());
  if (!HtmlReader(out).Run(*tree->root)) {
    // gumbo frees a tree by recursion, which one as deep as this turns into a stack overflow. The process ends
    // after this one file anyway.
    return Refuse(Refusal::kTooDeep);
  }
  gumbo_destroy_output(&options, tree);
  return out.Finish();
}

}  // namespace cloister::ingest

// SPDX-License-Identifier: Apache-2.0
// For tests: writes small PDFs by hand, well-formed or not.
#pragma once

#include <zlib.h>

#include <string>
#include <utility>
#include <vector>

namespace cloister::ingest {

// A line of text at a place, in PDF's own coordinates (points from the bottom left).
struct TestLine {
  float x, y;
  std::string text;
  float size = 11;
  bool bold = false;
};

inline std::string Deflate(const std::string& bytes) {
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 9);
  out.resize(size);
  return out;
}

class TestPdf {
 public:
  void AddPage(const std::vector<TestLine>& lines, int rotate = 0) {
    std::string content;
    for (const TestLine& line : lines) {
      std::string escaped;
      for (const char c : line.text) {
        if (c == '(' || c == ')' || c == '\\') escaped += '\\';
        escaped += c;
      }
      content += "BT /F" + std::string(line.bold ? "2" : "1") + " " + std::to_string(line.size) + " Tf " +
                 std::to_string(line.x) + " " + std::to_string(line.y) + " Td (" + escaped + ") Tj ET\n";
    }
    AddPageOf("<< /Length " + std::to_string(content.size()) + " >>\nstream\n" + content + "endstream", rotate);
  }
  // `stream` is the content object, dictionary included.
  void AddPageOf(const std::string& stream, int rotate = 0) { pages_.push_back({stream, rotate}); }
  void set_title(const std::string& title) { title_ = title; }
  // A password protects it that nobody knows.
  void set_encrypted() { encrypted_ = true; }

  std::string Write() const {
    std::vector<std::string> objects = {"<< /Type /Catalog /Pages 2 0 R >>", "",
                                        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
                                        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
                                        "<< /Title (" + title_ + ") >>"};
    std::string kids;
    for (const auto& [stream, rotate] : pages_) {
      const size_t number = objects.size() + 1;
      kids += std::to_string(number) + " 0 R ";
      objects.push_back("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate " + std::to_string(rotate) +
                        " /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents " + std::to_string(number + 1) +
                        " 0 R >>");
      objects.push_back(stream);
    }
    objects[1] = "<< /Type /Pages /Count " + std::to_string(pages_.size()) + " /Kids [" + kids + "] >>";
    std::string out = "%PDF-1.4\n";
    std::vector<size_t> offsets;
    for (size_t i = 0; i < objects.size(); ++i) {
      offsets.push_back(out.size());
      out += std::to_string(i + 1) + " 0 obj\n" + objects[i] + "\nendobj\n";
    }
    const size_t xref = out.size();
    out += "xref\n0 " + std::to_string(objects.size() + 1) + "\n0000000000 65535 f \n";
    for (const size_t offset : offsets) {
      char line[24];
      std::snprintf(line, sizeof line, "%010zu 00000 n \n", offset);
      out += line;
    }
    std::string encrypt;
    if (encrypted_) {
      const std::string bytes(64, 'A');
      encrypt = "/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <" + bytes + "> /U <" + bytes + "> >> ";
    }
    out += "trailer\n<< /Size " + std::to_string(objects.size() + 1) + " /Root 1 0 R /Info 5 0 R " + encrypt +
           ">>\nstartxref\n" + std::to_string(xref) + "\n%%EOF\n";
    return out;
  }

 private:
  std::vector<std::pair<std::string, int>> pages_;
  std::string title_;
  bool encrypted_ = false;
};

}  // namespace cloister::ingest

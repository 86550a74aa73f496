// SPDX-License-Identifier: Apache-2.0
#include "services/cli/audit_text.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;
using Facts = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kListedMax = 4;        // Longer lists are counted.
constexpr size_t kPseudonymShown = 12;  // Enough to tell people of one log apart at a glance.
constexpr size_t kIdDigits = 32;
constexpr size_t kNameColumn = 22;

std::string TextOf(const json& scalar) {
  return Printable(scalar.is_string() ? scalar.get<std::string>()
                                      : scalar.dump(-1, ' ', false, json::error_handler_t::replace));
}

bool IsId(const json& value) {
  return value.is_string() && value.get_ref<const std::string&>().size() >= kIdDigits &&
         value.get_ref<const std::string&>().find_first_not_of("0123456789abcdef") == std::string::npos;
}

// "12, of 8 documents"; short lists of plain values as they are.
std::string ListText(const json& list) {
  const bool plain = std::none_of(list.begin(), list.end(),
                                  [](const json& item) { return item.is_structured() || IsId(item); });
  std::string text;
  if (plain && list.size() <= kListedMax) {
    for (const json& item : list) text += (text.empty() ? "" : ", ") + TextOf(item);
    return text.empty() ? "none" : text;
  }
  text = std::to_string(list.size());
  std::set<std::string> documents;
  for (const json& item : list) {
    if (item.is_object() && item.contains("document")) documents.insert(TextOf(item.at("document")));
  }
  if (documents.empty()) return text;
  return text + ", of " + std::to_string(documents.size()) +
         (documents.size() == 1 ? " document" : " documents");
}

std::string Words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

void Collect(const json& object, const std::string& prefix, bool with_ids, Facts& facts) {
  if (!object.is_object()) return;
  for (const auto& [name, value] : object.items()) {
    const std::string full = prefix + Words(Printable(name));
    if (value.is_object()) {
      Collect(value, full + " ", with_ids, facts);
    } else if (value.is_array()) {
      facts.emplace_back(full, ListText(value));
    } else if (with_ids || !IsId(value)) {
      facts.emplace_back(full, TextOf(value));
    }
  }
}

std::string Member(const json& object, const char* name) {
  const auto member = object.find(name);
  return member == object.end() || member->is_structured() ? std::string() : TextOf(*member);
}

std::string Time(const json& envelope) {
  const std::string time = Member(envelope, "time");
  return time.size() > 19 ? time.substr(0, 19) + "Z" : time;
}

std::string Who(const json& envelope, bool whole) {
  const json who = envelope.value("who", json::object());
  if (!who.is_object()) return "";
  const std::string pseudonym = Member(who, "pseudonym");
  const std::string name = pseudonym.empty() ? Member(who, "name")
                           : whole           ? pseudonym + " (a pseudonym)"
                                             : pseudonym.substr(0, kPseudonymShown);
  return Member(who, "kind") + (name.empty() ? "" : " " + name);
}

// A quote of an answer: its words, and where they stand.
struct Quoted {
  std::string text;
  std::string place;
};

std::string PlaceOf(const json& quote, const std::string& document) {
  return "document " + document + ", version " + Member(quote, "version_id") + ", bytes " +
         Member(quote, "start") + " to " + Member(quote, "end");
}

bool IsOpened(const json& section, const char* kind) {
  return section.is_object() && Member(section, "subject_kind") == kind && section.contains("content") &&
         section.at("content").is_object();
}

const json& QuotesOf(const json& section) {
  static const json kNone = json::array();
  const auto quotes = section.at("content").find("quotes");
  return quotes != section.at("content").end() && quotes->is_array() ? *quotes : kNone;
}

// By their number in the answer: what the person's section says of them, and the documents' own words.
std::map<uint64_t, Quoted> CollectQuotes(const json& sections) {
  std::map<uint64_t, Quoted> quotes;
  for (const json& section : sections) {
    if (!IsOpened(section, "user")) continue;
    uint64_t number = 0;
    for (const json& place : QuotesOf(section)) {
      ++number;
      if (place.is_object()) quotes[number].place = PlaceOf(place, Member(place, "document_id"));
    }
  }
  for (const json& section : sections) {
    if (!IsOpened(section, "document")) continue;
    for (const json& quote : QuotesOf(section)) {
      const auto number = quote.is_object() ? quote.find("number") : quote.end();
      if (number == quote.end() || !number->is_number_unsigned()) continue;
      quotes[number->get<uint64_t>()] = {Member(quote, "text"), PlaceOf(quote, Member(section, "subject"))};
    }
  }
  return quotes;
}

std::string QuotesText(const std::map<uint64_t, Quoted>& quotes, const std::string& closed, size_t width) {
  if (quotes.empty()) return "";
  std::string text = "quotes\n";
  for (const auto& [number, quote] : quotes) {
    const std::string words = !quote.text.empty() ? quote.text
                              : closed.empty()    ? "not there"
                                                  : "closed: " + closed;
    text += Wrap(std::to_string(number) + ". " + words, width, "  ") + Wrap(quote.place, width, "     ");
  }
  return text;
}

size_t CountOf(const json& envelope, const char* name) {
  const auto list = envelope.find(name);
  return list != envelope.end() && list->is_array() ? list->size() : 0;
}

}  // namespace

std::string EntryText(const std::string& name, const json& envelope) {
  Facts facts = {{"entry", name},
                 {"event", Member(envelope, "event")},
                 {"time", Time(envelope) + ", by this machine's clock"},
                 {"who", Who(envelope, true)}};
  facts.emplace_back("data subjects", std::to_string(CountOf(envelope, "subjects")));
  facts.emplace_back("sealed sections", std::to_string(CountOf(envelope, "sections")));
  Collect(envelope.value("body", json::object()), "", true, facts);
  std::string text;
  for (const auto& [name, value] : facts) {
    text += name + std::string(name.size() < kNameColumn ? kNameColumn - name.size() : 1, ' ') + value + "\n";
  }
  return text;
}

std::string UnsealedText(const json& sections, size_t width) {
  if (!sections.is_array()) return "";
  std::string text;
  std::string closed;  // Why, when there is one reason for all.
  for (const json& section : sections) {
    if (!section.is_object()) continue;
    if (const std::string error = section.value("error", json()).is_string() ? Member(section, "error") : "";
        !error.empty()) {
      text += "a section of somebody or something unknown\n  stays closed: " + error + "\n";
      closed = closed.empty() || closed == error ? error : "its section stays closed";
      continue;
    }
    const bool document = IsOpened(section, "document");
    if (document && !QuotesOf(section).empty()) continue;  // Below, in the order of the answer.
    text += Member(section, "subject_kind") + " " + Member(section, "subject") + "\n";
    if (!section.contains("content") || !section.at("content").is_object()) continue;
    for (const auto& [name, value] : section.at("content").items()) {
      if (name != "quotes" || !value.is_array())
        text += Wrap(Words(Printable(name)) + ": " + TextOf(value), width, "  ");
    }
  }
  return text + QuotesText(CollectQuotes(sections), closed, width);
}

std::string EntryBrief(uint64_t index, const json& envelope, size_t width) {
  std::string head = std::to_string(index) + "  " + Time(envelope) + "  " + Member(envelope, "event");
  if (const std::string who = Who(envelope, false); !who.empty()) head += "  " + who;
  Facts facts;
  Collect(envelope.value("body", json::object()), "", false, facts);
  std::string details;
  for (const auto& [name, value] : facts) details += (details.empty() ? "" : ", ") + name + " " + value;
  return head + "\n" + (details.empty() ? "" : Wrap(details, width, "      "));
}

}  // namespace cloister::services

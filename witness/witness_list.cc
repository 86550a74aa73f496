// SPDX-License-Identifier: Apache-2.0
#include "witness/witness_list.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace cloister::witness {
namespace {

constexpr std::string_view kHttps = "https://", kHttp = "http://";

bool IsLoopback(std::string_view host) { return host == "127.0.0.1" || host == "[::1]" || host == "localhost"; }

// "host", "host:port" and "[address]:port".
bool SplitHost(std::string_view authority, std::string_view& host, std::string_view& port) {
  const size_t bracket = authority.find(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  host = authority.substr(0, colon);
  port = colon == std::string_view::npos ? "" : authority.substr(colon + 1);
  if (colon != std::string_view::npos && port.empty()) return false;
  const bool digits = std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return !host.empty() && digits && port.size() <= 5;
}

Status CheckUrl(std::string_view url) {
  if (url.size() > kUrlBytesMax) return InvalidArgument("the URL is longer than 1024 bytes");
  const bool secure = url.substr(0, kHttps.size()) == kHttps;
  if (!secure && url.substr(0, kHttp.size()) != kHttp) return InvalidArgument("the URL must begin with https://");
  for (const char c : url) {
    if (c <= 0x20 || c > 0x7e || c == '@' || c == '?' || c == '#' || c == '\\') {
      return InvalidArgument("the URL may have no name, password, query, fragment, or anything but printable ASCII");
    }
  }
  const std::string_view rest = url.substr(secure ? kHttps.size() : kHttp.size());
  std::string_view host, port;
  if (!SplitHost(rest.substr(0, rest.find('/')), host, port)) return InvalidArgument("the URL has no host, or a wrong port");
  if (!secure && !IsLoopback(host)) return InvalidArgument("http:// is taken for this machine alone; use https://");
  return absl::OkStatus();
}

StatusOr<WitnessPeer> ParseLine(const std::string& line) {
  const size_t space = line.find(' ');
  if (space == std::string::npos) return InvalidArgument("it must be \"VERIFIER-KEY URL\"");
  CLOISTER_ASSIGN_OR_RETURN(audit::CosignatureVerifier verifier,
                            audit::CosignatureVerifier::Parse(std::string_view(line).substr(0, space)));
  std::string url = line.substr(space + 1);
  while (!url.empty() && url.back() == '/') url.pop_back();
  CLOISTER_RETURN_IF_ERROR(CheckUrl(url));
  return WitnessPeer{std::move(verifier), std::move(url)};
}

}  // namespace

StatusOr<std::vector<WitnessPeer>> ParseWitnesses(const std::vector<std::string>& lines) {
  if (lines.size() > kWitnessesMax) return InvalidArgument("audit.witnesses: at most 16 witnesses");
  std::vector<WitnessPeer> peers;
  for (const std::string& line : lines) {
    const std::string where = "audit.witnesses, number " + std::to_string(peers.size() + 1);
    auto peer = ParseLine(line);
    if (!peer.ok()) return Annotate(peer.status(), where);
    for (const WitnessPeer& other : peers) {
      if (other.verifier.name() == peer->verifier.name()) return InvalidArgument(where + ": another one has this name");
    }
    peers.push_back(*std::move(peer));
  }
  return peers;
}

}  // namespace cloister::witness

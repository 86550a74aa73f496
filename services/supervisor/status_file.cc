// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/status_file.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/file.h"

namespace cloister::services {
namespace {

using Json = nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr size_t kStatusBytesMax = 1024 * 1024;
constexpr std::pair<ServiceState, std::string_view> kStates[] = {
    {ServiceState::kWaiting, "waiting"}, {ServiceState::kStarting, "starting"},
    {ServiceState::kHealthy, "healthy"}, {ServiceState::kUnresponsive, "unresponsive"},
    {ServiceState::kStopped, "stopped"},
};

std::optional<ServiceState> ParseState(std::string_view name) {
  for (const auto& [state, known] : kStates) {
    if (known == name) return state;
  }
  return std::nullopt;
}

Status Malformed() { return DataLoss("status.json is malformed; it is written again at the next start"); }

// The member `name` of `object` when it is there and a `T`.
template <class T>
std::optional<T> Member(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return std::nullopt;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return std::nullopt;
  } else {
    if (!found->is_number_integer()) return std::nullopt;
  }
  return found->get<T>();
}

std::optional<ServiceStatus> ParseService(const Json& object) {
  if (!object.is_object()) return std::nullopt;
  const auto name = Member<std::string>(object, "name");
  const auto state_name = Member<std::string>(object, "state");
  const auto pid = Member<pid_t>(object, "pid");
  const auto restarts = Member<uint64_t>(object, "restarts");
  const auto since_ns = Member<int64_t>(object, "since_ns");
  const auto last_exit = Member<std::string>(object, "last_exit");
  if (!name || !state_name || !pid || !restarts || !since_ns || !last_exit) return std::nullopt;
  const auto state = ParseState(*state_name);
  if (!state) return std::nullopt;
  return ServiceStatus{*name, *state, *pid, *restarts, *since_ns, *last_exit};
}

}  // namespace

std::string_view NameOf(ServiceState state) {
  for (const auto& [known, name] : kStates) {
    if (known == state) return name;
  }
  return "unknown";
}

std::filesystem::path StatusPath(const std::filesystem::path& data_directory) {
  return data_directory / "run" / "status.json";
}

std::string SerialiseStatus(const ApplianceStatus& status) {
  Json services = Json::array();
  for (const ServiceStatus& service : status.services) {
    services.push_back({{"name", service.name},
                        {"state", NameOf(service.state)},
                        {"pid", service.pid},
                        {"restarts", service.restarts},
                        {"since_ns", service.since_ns},
                        {"last_exit", service.last_exit}});
  }
  const Json whole = {{"version", kFormatVersion},
                      {"pid", status.supervisor_pid},
                      {"since_ns", status.since_ns},
                      {"passphrase_source", NameOf(status.passphrase_source)},
                      {"services", std::move(services)}};
  return whole.dump(2) + "\n";
}

StatusOr<ApplianceStatus> ParseStatus(std::string_view json) {
  const Json whole = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!whole.is_object()) return Malformed();
  const auto version = Member<int>(whole, "version");
  if (!version) return Malformed();
  if (*version != kFormatVersion) {
    return FailedPrecondition("status.json has version " + std::to_string(*version) +
                              "; this program knows " + std::to_string(kFormatVersion));
  }
  const auto pid = Member<pid_t>(whole, "pid");
  const auto since_ns = Member<int64_t>(whole, "since_ns");
  const auto source_name = Member<std::string>(whole, "passphrase_source");
  const auto services = whole.find("services");
  if (!pid || !since_ns || !source_name || services == whole.end() || !services->is_array())
    return Malformed();
  const auto source = ParsePassphraseSource(*source_name);
  if (!source.ok()) return Malformed();
  ApplianceStatus out{*pid, *since_ns, *source, {}};
  for (const Json& object : *services) {
    auto service = ParseService(object);
    if (!service) return Malformed();
    out.services.push_back(*std::move(service));
  }
  return out;
}

Status WriteStatus(const std::filesystem::path& data_directory, const ApplianceStatus& status) {
  return WriteFileAtomic(StatusPath(data_directory), SerialiseStatus(status), 0600);
}

StatusOr<ApplianceStatus> ReadStatus(const std::filesystem::path& data_directory) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string json, ReadFile(StatusPath(data_directory), kStatusBytesMax));
  return ParseStatus(json);
}

}  // namespace cloister::services

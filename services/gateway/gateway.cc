// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/gateway.h"

#include <exception>
#include <map>
#include <nlohmann/json.hpp>

#include "common/log.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr size_t kPathBytesMax = 2048;

// Counts what goes out, and knows whether anything did.
class CountingWriter final : public HttpWriter {
 public:
  CountingWriter(HttpWriter& inner, Metrics& metrics) : inner_(inner), metrics_(metrics) {}
  void Send(HttpResponse response) override {
    Count(response.status);
    inner_.Send(std::move(response));
  }
  bool StartStream(const HttpResponse& head) override {
    Count(head.status);
    return inner_.StartStream(head);
  }
  bool Write(std::string_view bytes) override { return inner_.Write(bytes); }
  bool answered() const { return answered_; }

 private:
  void Count(int status) {
    answered_ = true;
    ++(status >= 500 ? metrics_.responses_5xx : status >= 400 ? metrics_.responses_4xx : metrics_.responses_2xx);
  }
  HttpWriter& inner_;
  Metrics& metrics_;
  bool answered_ = false;
};

std::vector<std::string> Segments(const std::string& path) {
  std::vector<std::string> segments;
  size_t at = 1;
  while (at <= path.size()) {
    const size_t slash = std::min(path.find('/', at), path.size());
    segments.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return segments;
}

// A web page of another origin may make a browser send requests with remembered credentials; it cannot hide where
// it comes from.
Status CheckOrigin(const HttpRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(const auto origin, request.Header("origin"));
  CLOISTER_ASSIGN_OR_RETURN(const auto host, request.Header("host"));
  if (!origin.has_value()) return absl::OkStatus();
  if (host.has_value() && *origin == "https://" + std::string(*host)) return absl::OkStatus();
  return PermissionDenied("requests from pages of another origin are refused");
}

void SendReady(GatewayParts& parts, HttpWriter& writer) {
  json services = json::object();
  bool ready = true;
  for (const char* name : kPeerNames) {
    const bool healthy = parts.peers.IsHealthy(name);
    services[name] = healthy;
    ready = ready && healthy;
  }
  writer.Send(JsonResponse({{"ready", ready}, {"services", services}}, ready ? 200 : 503));
}

constexpr std::string_view kAdminPrefix = "/admin/v1/";
using Handler = Status (*)(const RouteCall&);

// By the first segment behind the prefix.
Handler AdminHandlerOf(std::string_view path) {
  static const std::map<std::string_view, Handler> handlers = {
      {"audit", HandleAdminAudit},         {"jobs", HandleAdminJobs},
      {"keyring", HandleAdminKeys},        {"versions", HandleAdminVersions},
      {"status", HandleAdminStatus},       {"erasures", HandleAdminErasures},
      {"holds", HandleAdminErasures},      {"suppressions", HandleAdminErasures},
      {"shred", HandleAdminErasures},      {"answers-affected", HandleAdminErasures},
      {"backups", HandleAdminBackups},     {"doctor", HandleAdminDoctor},
  };
  const std::string_view rest = path.substr(kAdminPrefix.size());
  const auto found = handlers.find(rest.substr(0, rest.find('/')));
  return found == handlers.end() ? HandleAdmin : found->second;
}

}  // namespace

Status NoRoute() {
  return WithFacts(NotFound("there is no such route; docs/api.md lists them"), {"NO_ROUTE", "", 0, 0});
}

Status RequireRole(const Caller& caller, std::initializer_list<const char*> roles) {
  if (caller.HasRole(kRoleAdministrator)) return absl::OkStatus();
  std::string names = kRoleAdministrator;
  for (const char* role : roles) {
    if (caller.HasRole(role)) return absl::OkStatus();
    names += std::string(", ") + role;
  }
  return PermissionDenied("this needs one of the roles: " + names);
}

Status RecordAdmin(const RouteCall& call, std::string_view event, const std::string& body_json,
                   const std::string& about_user, const std::string& section_json) {
  v1::AppendRequest record;
  record.set_event(std::string(event));
  record.set_body_json(body_json);
  record.set_actor_kind("user");
  record.set_actor(call.caller.user);
  if (!about_user.empty()) {
    v1::SectionInput* section = record.add_sections();
    section->set_subject_kind("user");
    section->set_subject(about_user);
    section->set_content_json(section_json);
  }
  const auto index = call.parts.peers.audit_log().Append(record);
  if (index.ok()) return absl::OkStatus();
  LogStatus(LogLevel::kError, "audit.append_failed", index.status());
  return WithFacts(Unavailable("the audit log did not acknowledge the record, so nothing was changed; try again"),
                   {"AUDIT_UNAVAILABLE", "", 0, 5});
}

StatusOr<uint64_t> ParseNumber(std::string_view what, const std::string& text, uint64_t maximum) {
  uint64_t number = 0;
  const Status bad = FieldError(what, "must be a whole number of at most " + std::to_string(maximum));
  if (text.empty() || text.size() > 19) return bad;
  for (char c : text) {
    if (c < '0' || c > '9') return bad;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  if (number > maximum) return bad;
  return number;
}

StatusOr<uint64_t> QueryNumber(const HttpRequest& request, const std::string& name, uint64_t otherwise,
                               uint64_t maximum) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return otherwise;
  return ParseNumber(name, found->second, maximum);
}

bool RouteCall::Is(std::string_view method, std::string_view pattern) const {
  if (request.method != method) return false;
  const std::vector<std::string> wanted = Segments(std::string(pattern));
  if (wanted.size() != segments.size()) return false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "*" ? segments[i].empty() : wanted[i] != segments[i]) return false;
  }
  return true;
}

void Gateway::Handle(const HttpRequest& request, HttpWriter& writer) {
  ++parts_.metrics.requests;
  CountingWriter counting(writer, parts_.metrics);
  try {
    Route(request, counting);
  } catch (const std::exception&) {
    // The JSON library throws on programmer errors. Its message may quote content: it is not logged.
    Log(LogLevel::kError, "http.handler_threw", {{"method", request.method}});
    if (!counting.answered()) counting.Send(AdminError(Internal("the request could not be answered")));
  }
}

void Gateway::Route(const HttpRequest& request, HttpWriter& writer) {
  const bool openai = request.path.starts_with("/v1/");
  const auto fail = [&](const Status& status) { writer.Send(openai ? OpenAiError(status) : AdminError(status)); };
  const bool get = request.method == "GET";
  if (get && request.path == "/healthz") return writer.Send(JsonResponse({{"status", "ok"}}));
  if (get && request.path == "/readyz") return SendReady(parts_, writer);
  if (request.path.size() > kPathBytesMax) return fail(InvalidArgument("the path is too long"));
  if (const Status origin = CheckOrigin(request); !origin.ok()) return fail(origin);
  const StatusOr<Caller> caller = parts_.authenticator.Authenticate(request);
  if (!caller.ok()) return fail(caller.status());
  const RouteCall call{parts_, request, *caller, Segments(request.path), writer};
  Status status = NoRoute();
  if (openai) {
    status = HandleV1(call);
  } else if (request.path.starts_with(kAdminPrefix)) {
    status = AdminHandlerOf(request.path)(call);
  } else if (get && request.path == "/metrics") {
    status = RequireRole(*caller, {kRoleAuditor});
    if (status.ok()) {
      writer.Send({200, "text/plain; version=0.0.4", parts_.metrics.Render(parts_.authenticator.failures()), {}});
    }
  }
  if (!status.ok()) fail(status);
}

}  // namespace cloister::services

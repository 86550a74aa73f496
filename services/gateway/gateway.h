// SPDX-License-Identifier: Apache-2.0
// The routes of the appliance: health, the OpenAI-compatible API, asking and searching, administration. Does not
// listen (http_server.h) and never decides access to documents (retrieval does).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "services/gateway/ask.h"
#include "services/gateway/authentication.h"
#include "services/gateway/credentials.h"
#include "services/http/http_message.h"
#include "services/gateway/metrics.h"
#include "services/gateway/peers.h"

namespace cloister::services {

struct GatewayOptions {
  size_t question_bytes_max = 2048;
  crypto::Argon2Cost password_cost;
};

class BackupDesk;
class MaintenanceService;

// What every route may use. All outlive the gateway.
struct GatewayParts {
  Peers& peers;
  CredentialStore& credentials;
  Authenticator& authenticator;
  AskRunner& asks;
  Metrics& metrics;
  const Clock& clock;
  GatewayOptions options;
  BackupDesk* backups = nullptr;  // Null: this gateway makes none.
  MaintenanceService* own = nullptr;  // Examines gateway's own database. Null: this gateway has none.
};

// Thread-safe.
class Gateway {
 public:
  explicit Gateway(GatewayParts parts) : parts_(std::move(parts)) {}
  // Answers one request. Never throws.
  void Handle(const HttpRequest& request, HttpWriter& writer);

 private:
  void Route(const HttpRequest& request, HttpWriter& writer);
  GatewayParts parts_;
};

// A request of an authenticated caller, split at the slashes of its path.
struct RouteCall {
  GatewayParts& parts;
  const HttpRequest& request;
  const Caller& caller;
  std::vector<std::string> segments;  // "/admin/v1/users/x" -> {"admin", "v1", "users", "x"}
  HttpWriter& writer;
  bool Is(std::string_view method, std::string_view pattern) const;  // "/admin/v1/users/*"
};

// Each answers, or returns an error that its caller turns into the right shape. NOT_FOUND with reason NO_ROUTE when
// there is no such route.
Status HandleV1(const RouteCall& call);            // openai_api.cc: /v1/...
Status HandleAdmin(const RouteCall& call);         // admin_api.cc: /admin/v1/...
Status HandleAdminAudit(const RouteCall& call);    // admin_audit.cc: /admin/v1/audit/...
Status HandleAdminJobs(const RouteCall& call);     // admin_jobs.cc: /admin/v1/jobs...
Status HandleAdminKeys(const RouteCall& call);      // admin_keys.cc: /admin/v1/keyring...
Status HandleAdminKeyRotation(const RouteCall& call);  // admin_key_rotation.cc: .../keyring/rotation, .../keyring/former
Status HandleAdminStatus(const RouteCall& call);   // admin_status.cc: /admin/v1/status
Status HandleAdminErasures(const RouteCall& call);  // admin_erasures.cc: erasures, holds, suppressions, shred
Status HandleAdminBackups(const RouteCall& call);   // admin_backups.cc: /admin/v1/backups...
Status HandleAdminDoctor(const RouteCall& call);    // admin_doctor.cc: /admin/v1/doctor/...
Status HandleAdminVersions(const RouteCall& call);  // admin_versions.cc: /admin/v1/versions...

Status NoRoute();
// kPermissionDenied unless the caller is an administrator or has one of `roles`.
Status RequireRole(const Caller& caller, std::initializer_list<const char*> roles);
// Records that `action` is about to happen; the action may go on only when this is OK. `body` is public; the rest
// goes into sections of the caller and, when it is not empty, of `about_user`.
Status RecordAdmin(const RouteCall& call, std::string_view event, const std::string& body_json,
                   const std::string& about_user, const std::string& section_json);
// A whole number from the query. Errors: kInvalidArgument.
StatusOr<uint64_t> QueryNumber(const HttpRequest& request, const std::string& name, uint64_t otherwise,
                               uint64_t maximum);
StatusOr<uint64_t> ParseNumber(std::string_view what, const std::string& text, uint64_t maximum);

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
#include "audit/event_names.h"

#include <algorithm>

namespace cloister::audit {

const std::vector<std::string_view>& EventNames() {
  static const std::vector<std::string_view> names = {
      "ask.intent",         "ask.release",       "ask.outcome",          "ask.denied",
      "answer.reported",    "search.release",    "document.viewed",      "document.ingested",
      "document.updated",   "document.deleted",  "document.quarantined", "subject.linked",
      "recipient.notified", "erasure.requested", "erasure.completed",    "hold.placed",
      "hold.released",      "policy.changed",    "directory.changed",    "key.rotated",
      "key.destroyed",      "auth.login",        "auth.logout",          "auth.failed",
      "auth.locked",        "breakglass.opened", "breakglass.closed",    "breakglass.reviewed",
      "export.created",     "report.created",    "audit.queried",        "audit.unsealed",
      "audit.rotated",      "model.loaded",      "model.rejected",       "model.qualified",
      "egress.probe",       "egress.violation",  "config.changed",       "service.started",
      "service.stopped",    "clock.stepped",     "backup.created",       "backup.restored",
      "key.used",           "erasure.lifted",    "version.read",         "version.ended",
      "freshness.accepted", "maintenance.examined",
  };
  return names;
}

bool IsEventName(std::string_view name) {
  const auto& names = EventNames();
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsEmergency(std::string_view name) {
  return name == "breakglass.opened" || name == "breakglass.closed" || name == "egress.violation" ||
         name == "service.started" || name == "service.stopped";
}

}  // namespace cloister::audit

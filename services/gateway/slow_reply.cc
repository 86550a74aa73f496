// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/slow_reply.h"

#include <future>

#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

// After so long without a byte a client would think that nobody is there; a blank line is none of the answer.
constexpr std::chrono::seconds kSilenceMax{60};

}  // namespace

Status SendWhenMade(const RouteCall& call, const std::function<StatusOr<nlohmann::json>()>& make) {
  auto made = std::async(std::launch::async, make);
  if (made.wait_for(kSilenceMax) == std::future_status::ready) {
    CLOISTER_ASSIGN_OR_RETURN(const nlohmann::json out, made.get());
    call.writer.Send(JsonResponse(out));
    return absl::OkStatus();
  }
  call.writer.StartStream({200, "application/json", "", {}});
  while (made.wait_for(kSilenceMax) != std::future_status::ready) call.writer.Write("\n");
  const auto out = made.get();
  call.writer.Write(out.ok() ? DumpJson(*out) : AdminError(out.status()).body);
  return absl::OkStatus();
}

}  // namespace cloister::services

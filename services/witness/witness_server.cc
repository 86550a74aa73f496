// SPDX-License-Identifier: Apache-2.0
#include "services/witness/witness_server.h"

#include <string>
#include <utility>

#include "witness/add_checkpoint.h"

namespace cloister::services {
namespace {

constexpr const char* kPlainText = "text/plain; charset=utf-8";

HttpResponse Text(int status, const std::string& text) {
  HttpResponse response;
  response.status = status;
  response.content_type = kPlainText;
  response.body = text;
  return response;
}

HttpResponse LastCheckpoint(witness::Witness& witness, const HttpRequest& request) {
  const auto origin = request.query.find("origin");
  if (origin == request.query.end()) return Text(400, "give the origin of a log: /checkpoint?origin=ORIGIN\n");
  for (const witness::WitnessedLog& log : witness.Logs()) {
    if (log.origin != origin->second) continue;
    return log.checkpoint.empty() ? Text(404, "nothing was cosigned of that log yet\n") : Text(200, log.checkpoint);
  }
  return Text(404, "this witness does not serve that log\n");
}

HttpResponse Answer(witness::Witness& witness, const HttpRequest& request) {
  const bool adds = request.path == witness::kAddCheckpointPath;
  const bool reads = request.path == "/checkpoint" || request.path == "/healthz";
  if (!adds && !reads) return Text(404, "there is POST /add-checkpoint, GET /checkpoint?origin=ORIGIN and GET /healthz\n");
  if (request.method != (adds ? "POST" : "GET")) return Text(405, adds ? "use POST\n" : "use GET\n");
  if (request.path == "/healthz") return Text(200, "ok\n");
  if (reads) return LastCheckpoint(witness, request);
  witness::Answer answer = witness.Add(request.body);
  HttpResponse response;
  response.status = answer.status;
  response.content_type = std::move(answer.content_type);
  response.body = std::move(answer.body);
  return response;
}

}  // namespace

HttpLimits WitnessLimits() {
  HttpLimits limits;
  limits.body_bytes_max = witness::kAddCheckpointBytesMax;
  limits.connections_max = 256;
  limits.workers = 4;
  return limits;
}

HttpHandler WitnessHandler(witness::Witness& witness) {
  return [&witness](const HttpRequest& request, HttpWriter& writer) { writer.Send(Answer(witness, request)); };
}

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// A witness over HTTP: POST /add-checkpoint, and for people GET /checkpoint?origin=ORIGIN (the last note cosigned of a log,
// with both signatures) and GET /healthz. Nobody is asked who they are: a request counts by the log's signature in it.
// SPEC: c2sp.org/tlog-witness v1.0.0
#pragma once

#include "services/http/http_message.h"
#include "services/http/http_server.h"
#include "witness/witness.h"

namespace cloister::services {

// Limits for a public door of this kind: bodies are small.
HttpLimits WitnessLimits();
// `witness` must outlive the handler. Thread-safe.
HttpHandler WitnessHandler(witness::Witness& witness);

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// manifest.toml to a manifest, in this process. Only for the sandboxed parse process and tests; everything
// else goes through SandboxedParser::ParseManifest. Thread-safe.
#pragma once

#include <string_view>

#include "ingest/manifest.h"

namespace cloister::ingest {

// A problem names the line; for an unknown key it names the nearest known one. May throw std::bad_alloc.
ManifestResult ParseManifest(std::string_view toml);

}  // namespace cloister::ingest

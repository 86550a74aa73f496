// SPDX-License-Identifier: Apache-2.0
// Conversion between the messages of retrieval.proto and the values of the retrieval library. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cloister/v1/retrieval.pb.h"
#include "common/status.h"
#include "retrieval/document_store.h"
#include "retrieval/releaser.h"
#include "retrieval/searcher.h"

namespace cloister::services {

// Little-endian floats. Errors: kInvalidArgument (not a multiple of four bytes).
StatusOr<std::vector<float>> FloatsFrom(std::string_view bytes);

// 16 bytes, or none for the empty id. Errors: kInvalidArgument.
StatusOr<VersionId> VersionFrom(const std::string& bytes);

// Moves the large fields out of `request`. Errors: kInvalidArgument (vectors, an id, a kind or lead-in out of
// range).
StatusOr<retrieval::NewDocument> DocumentFrom(v1::PutDocumentRequest& request);
void ToMessage(const retrieval::ReleaseResult& result, v1::ReleaseResponse* response);
void ToMessage(const retrieval::SearchResult& result, v1::SearchResponse* response);

}  // namespace cloister::services

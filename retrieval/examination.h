// SPDX-License-Identifier: Apache-2.0
// Examines everything that retrieval stores: every row, every document for being whole, every segment, and
// the index against the documents. With `repair`, a damaged document is set aside (see set_aside.h) and what
// is derived is made anew; rows of truth are never altered, save that a damaged table is written anew without
// what cannot be read, because it would end all changes. Blocks on disk and keys; changes, searches and
// releases go on.
#pragma once

#include <filesystem>

#include "common/status.h"
#include "retrieval/corpus.h"
#include "storage/examination.h"
#include "storage/rocksdb_store.h"

namespace cloister::retrieval {

// `tables`: the database that the corpus is in; null in a test that has none of RocksDB's. Counts the parts
// "tables", "rows", "documents", "segments" and "index". Errors: kCancelled, kResourceExhausted,
// kUnavailable.
Status ExamineCorpus(Corpus& corpus, storage::RocksDbStore* tables,
                     const storage::ExaminationOptions& options, storage::Examination& out);

// Rows, tables and segments while no corpus is open. With `repair`, segments that do not authenticate are
// removed, so that the next start makes them anew; nothing else is altered. Errors: as ExamineCorpus.
Status ExamineClosed(storage::RocksDbStore& store, storage::KeySource& keys,
                     const std::filesystem::path& segments, const storage::ExaminationOptions& options,
                     storage::Examination& out);

}  // namespace cloister::retrieval

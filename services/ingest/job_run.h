// SPDX-License-Identifier: Apache-2.0
// One run of a job: scan, skip what is unchanged, parse, chunk, embed, store; then prune. Keeps no state of its own:
// what was stored stays, so a run that was cut short is simply run again. Not thread-safe; Run uses threads inside.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cloister/v1/embedding.grpc.pb.h"
#include "cloister/v1/ingest.pb.h"
#include "cloister/v1/retrieval.grpc.pb.h"
#include "ingest/chunker.h"
#include "ingest/folder.h"
#include "ingest/manifest.h"
#include "ingest/sandboxed_parser.h"
#include "services/ingest/bounded_queue.h"
#include "services/ingest/document_request.h"
#include "services/ingest/input_digest.h"
#include "services/ingest/live_job.h"
#include "services/server/audit_client.h"

namespace cloister::services {

struct IngestOptions {
  std::filesystem::path data_directory;  // Never read from.
  ingest::SandboxedParserOptions parser;
  ingest::ChunkOptions chunks;
  size_t file_bytes_max = 32 * 1024 * 1024;
  int parse_workers = 2;
  int store_workers = 2;
  PeerPatience patience;
};

// The other services. Outlives every run.
struct IngestPeers {
  explicit IngestPeers(const std::shared_ptr<grpc::Channel>& embedding_channel,
                       const std::shared_ptr<grpc::Channel>& retrieval_channel,
                       const std::shared_ptr<grpc::Channel>& audit_channel);
  std::unique_ptr<v1::Embedding::Stub> embedding;
  std::unique_ptr<v1::Documents::Stub> documents;
  std::unique_ptr<v1::Directory::Stub> directory;
  AuditClient audit;
};

class JobRun {
 public:
  // All must outlive this.
  JobRun(const IngestOptions& options, IngestPeers& peers, LiveJob& job);
  // OK when every file had its outcome. Blocks until all of it is done, `job` was halted, or the job as a whole
  // failed. Errors: the reason, for a person; kCancelled when halted.
  Status Run();

 private:
  Status Prepare();
  Status CheckCollection();
  Status LoadSources();
  Status LoadEmbedder();
  Status ChooseOrigin();
  Status LoadManifest();
  void ListNamesWithoutFile();
  void ParseFiles();
  void StoreFiles();
  // Each returns an error only for what ends the job.
  StatusOr<std::optional<PreparedFile>> ParseFile(const ingest::FoundFile& found);
  Status StoreFile(PreparedFile file);
  // Replaces what the job found there, or, when something else has come in since, that; once.
  Status PutDocument(v1::PutDocumentRequest& request);
  Status Quarantine(const std::string& digest, const std::string& reason);
  Status Prune();
  void FailFile(const std::string& source, const std::string& reason);
  void EndWith(const Status& status);

  const IngestOptions& options_;
  IngestPeers& peers_;
  LiveJob& job_;
  const ingest::SandboxedParser parser_;
  std::optional<ingest::Folder> folder_;
  ingest::FolderScan scan_;
  ingest::Manifest manifest_;
  Destination destination_;
  InputSettings settings_;
  struct KnownSource {
    std::string input_sha256;  // Of what it was made from.
    std::string version_id;
  };
  using KnownSources = std::map<std::string, KnownSource, std::less<>>;
  StatusOr<KnownSources> ListSources();

  KnownSources known_;  // As the job found them.
  std::atomic<size_t> next_{0};
  std::atomic<int> parsing_{0};
  BoundedQueue<PreparedFile> prepared_;
  std::mutex mutex_;
  Status failure_;  // The first error that ended the job.
};

}  // namespace cloister::services

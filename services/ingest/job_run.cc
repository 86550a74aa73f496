// SPDX-License-Identifier: Apache-2.0
#include "services/ingest/job_run.h"

#include <thread>
#include <vector>

#include "common/bytes.h"
#include "common/log.h"
#include "crypto/hash.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kQuickTimeout{30'000};
constexpr std::chrono::milliseconds kPutTimeout{120'000};
constexpr size_t kPreparedMax = 2;  // Documents parsed and not yet stored: they may be large.

// Names in bodies of audit records are not content: reason and digest say enough to find the file.
std::string QuarantineBody(const std::string& collection, const std::string& digest, const std::string& reason) {
  // All three are of known alphabets: collection [a-z0-9._-], hexadecimal, and our own sentences without quotes.
  return "{\"collection\":\"" + collection + "\",\"original_sha256\":\"" + HexEncode(digest) + "\",\"reason\":\"" + reason + "\"}";
}

}  // namespace

IngestPeers::IngestPeers(const std::shared_ptr<grpc::Channel>& embedding_channel,
                         const std::shared_ptr<grpc::Channel>& retrieval_channel,
                         const std::shared_ptr<grpc::Channel>& audit_channel)
    : embedding(v1::Embedding::NewStub(embedding_channel)),
      documents(v1::Documents::NewStub(retrieval_channel)),
      directory(v1::Directory::NewStub(retrieval_channel)),
      audit(audit_channel) {}

JobRun::JobRun(const IngestOptions& options, IngestPeers& peers, LiveJob& job)
    : options_(options), peers_(peers), job_(job), parser_(options.parser), prepared_(kPreparedMax) {
  settings_.chunks = options.chunks;
}

Status JobRun::Run() {
  CLOISTER_RETURN_IF_ERROR(Prepare());
  parsing_ = options_.parse_workers;
  std::vector<std::thread> threads;
  for (int i = 0; i < options_.parse_workers; ++i) threads.emplace_back([this] { ParseFiles(); });
  for (int i = 0; i < options_.store_workers; ++i) threads.emplace_back([this] { StoreFiles(); });
  for (std::thread& thread : threads) thread.join();
  {
    std::lock_guard lock(mutex_);
    CLOISTER_RETURN_IF_ERROR(failure_);
  }
  if (job_.halted()) return Error(StatusCode::kCancelled, "the job was stopped");
  return job_.request().prune() ? Prune() : Status();
}

Status JobRun::Prepare() {
  auto folder = ingest::Folder::Open(job_.request().folder(), options_.data_directory);
  if (!folder.ok()) return folder.status();
  folder_ = *std::move(folder);
  CLOISTER_RETURN_IF_ERROR(ChooseOrigin());
  CLOISTER_RETURN_IF_ERROR(CheckCollection());
  CLOISTER_RETURN_IF_ERROR(LoadEmbedder());
  CLOISTER_ASSIGN_OR_RETURN(scan_, folder_->Scan());
  CLOISTER_RETURN_IF_ERROR(LoadManifest());
  ListNamesWithoutFile();
  std::erase_if(scan_.files, [](const ingest::FoundFile& file) { return file.source == ingest::kManifestName; });
  CLOISTER_RETURN_IF_ERROR(LoadSources());
  job_.Update([&](v1::Job& job) { job.set_files_found(scan_.files.size()); });
  for (const std::string& source : scan_.skipped) {
    job_.List(source, "was passed over: a symbolic link, a name that is not UTF-8 or too long, or a folder that cannot be read");
  }
  return Status();
}

Status JobRun::ChooseOrigin() {
  const std::string& asked = job_.request().origin();
  destination_ = {job_.request().collection(), asked.empty() ? folder_->path().string() : asked};
  if (IsUtf8(destination_.origin) && destination_.origin.size() <= ingest::kSourceBytesMax) return Status();
  return InvalidArgument("the folder's path is too long or not UTF-8; give the folder a name of its own");
}

Status JobRun::CheckCollection() {
  v1::ListCollectionsResponse response;
  CLOISTER_RETURN_IF_ERROR(CallPeer(options_.patience, job_.halt(), kQuickTimeout, false, [&](grpc::ClientContext& context) {
    return peers_.directory->ListCollections(&context, {}, &response);
  }));
  for (const v1::Collection& collection : response.collections()) {
    if (collection.name() != destination_.collection) continue;
    settings_.sentence_vectors = !collection.no_sentence_vectors();
    return Status();
  }
  return NotFound("there is no collection of this name; make it first");
}

Status JobRun::LoadEmbedder() {
  v1::EmbedderInfo info;
  CLOISTER_RETURN_IF_ERROR(CallPeer(options_.patience, job_.halt(), kQuickTimeout, false, [&](grpc::ClientContext& context) {
    return peers_.embedding->GetEmbedder(&context, {}, &info);
  }));
  if (info.dimension() == 0) return Internal("the embedder has no dimension");
  settings_.embedder = {info.sha256(), info.dimension()};
  return Status();
}

Status JobRun::LoadManifest() {
  const auto toml = folder_->Read(ingest::kManifestName, ingest::kManifestBytesMax);
  if (toml.status().code() == StatusCode::kNotFound) return Status();
  if (!toml.ok()) return Annotate(toml.status(), ingest::kManifestName);
  auto manifest = parser_.ParseManifest(*toml, &job_.halted());
  if (manifest.status().code() == StatusCode::kDataLoss) {
    CLOISTER_RETURN_IF_ERROR(Quarantine(crypto::Sha256(*toml), MessageOf(manifest.status())));
  }
  if (!manifest.ok()) return Annotate(manifest.status(), ingest::kManifestName);
  manifest_ = *std::move(manifest);
  return Status();
}

// A misspelt name in the manifest would otherwise leave a document without its dates or subjects, unseen.
void JobRun::ListNamesWithoutFile() {
  if (scan_.unreadable) return;
  for (const auto& [source, metadata] : manifest_.entries()) {
    if (!ingest::Contains(scan_, source)) job_.List(source, "is named in manifest.toml, but there is no such file");
  }
}

Status JobRun::LoadSources() {
  CLOISTER_ASSIGN_OR_RETURN(known_, ListSources());
  return Status();
}

StatusOr<JobRun::KnownSources> JobRun::ListSources() {
  v1::ListSourcesRequest request;
  request.set_collection(destination_.collection);
  request.set_origin(destination_.origin);
  v1::ListSourcesResponse response;
  CLOISTER_RETURN_IF_ERROR(CallPeer(options_.patience, job_.halt(), kQuickTimeout, false, [&](grpc::ClientContext& context) {
    return peers_.documents->ListSources(&context, request, &response);
  }));
  KnownSources sources;
  for (const v1::SourceState& state : response.sources()) {
    sources[state.source()] = {state.input_sha256(), state.version_id()};
  }
  return sources;
}

void JobRun::ParseFiles() {
  while (!job_.halted()) {
    const size_t index = next_++;
    if (index >= scan_.files.size()) break;
    auto file = ParseFile(scan_.files[index]);
    if (!file.ok()) {
      EndWith(file.status());
      break;
    }
    if (*file && !prepared_.Push(*std::move(*file))) break;
  }
  if (--parsing_ == 0) prepared_.Close();
}

StatusOr<std::optional<PreparedFile>> JobRun::ParseFile(const ingest::FoundFile& found) {
  const auto unsupported = [&] {
    job_.Update([](v1::Job& job) { job.set_files_unsupported(job.files_unsupported() + 1); });
    job_.List(found.source, ingest::RefusalMessage(ingest::Refusal::kUnsupported));
    return std::nullopt;
  };
  if (!ingest::MayBeSupported(found.source)) return unsupported();
  PreparedFile file;
  file.source = found.source;
  auto bytes = folder_->Read(found.source, options_.file_bytes_max);
  if (!bytes.ok()) {
    const bool too_long = bytes.status().code() == StatusCode::kResourceExhausted;
    FailFile(found.source, too_long ? "is longer than " + std::to_string(options_.file_bytes_max) + " bytes"
                                    : "cannot be read: " + MessageOf(bytes.status()));
    return std::nullopt;
  }
  file.bytes = *std::move(bytes);
  const std::string digest = crypto::Sha256(file.bytes);
  file.input_sha256 = InputDigest(digest, manifest_.Find(found.source), settings_);
  if (const auto known = known_.find(found.source); known != known_.end() && known->second.input_sha256 == file.input_sha256) {
    job_.Update([](v1::Job& job) { job.set_files_unchanged(job.files_unchanged() + 1); });
    return std::nullopt;
  }
  file.type = ingest::DetectMediaType(found.source, file.bytes);
  if (file.type == ingest::MediaType::kUnsupported) return unsupported();
  CLOISTER_ASSIGN_OR_RETURN(ingest::ParseOutcome outcome, parser_.Parse(file.type, file.bytes, &job_.halted()));
  if (!outcome.document) {
    if (outcome.hostile) CLOISTER_RETURN_IF_ERROR(Quarantine(digest, outcome.reason));
    FailFile(found.source, outcome.reason);
    return std::nullopt;
  }
  file.document = *std::move(outcome.document);
  manifest_.Apply(file.source, file.document.metadata);
  file.chunks = ingest::ChunkDocument(file.document, options_.chunks);
  return std::optional<PreparedFile>(std::move(file));
}

void JobRun::StoreFiles() {
  while (auto file = prepared_.Pop()) {
    if (const Status status = StoreFile(*std::move(file)); !status.ok()) {
      EndWith(status);
      return;
    }
  }
}

Status JobRun::StoreFile(PreparedFile file) {
  const std::string source = file.source;
  const size_t bytes = file.bytes.size();
  const auto fits = FitsWithSentenceVectors(file, settings_.embedder.dimension);
  if (!fits.ok()) {
    FailFile(source, MessageOf(fits.status()));
    return Status();
  }
  std::vector<std::string> notes;
  if (settings_.sentence_vectors && !*fits) notes.push_back("it is too long for sentence vectors; answers from it rest on words alone");
  for (const ingest::Note& note : file.document.notes) notes.push_back(ingest::NoteMessage(note));
  std::vector<v1::ChunkInput> chunks;
  CLOISTER_RETURN_IF_ERROR(EmbedDocument(file, settings_.embedder, settings_.sentence_vectors && *fits, *peers_.embedding,
                                         options_.patience, job_.halt(), chunks));
  v1::PutDocumentRequest request = DescribeDocument(destination_, settings_.embedder, file);
  for (v1::ChunkInput& chunk : chunks) *request.add_chunks() = std::move(chunk);
  const Status put = PutDocument(request);
  // What retrieval has against this one document is the document's failure; anything else would meet the next, too.
  if (put.code() == StatusCode::kInvalidArgument || put.code() == StatusCode::kDataLoss ||
      put.code() == StatusCode::kPermissionDenied || put.code() == StatusCode::kAborted) {
    FailFile(source, "was not accepted: " + MessageOf(put));
    return Status();
  }
  CLOISTER_RETURN_IF_ERROR(put);
  job_.Update([&](v1::Job& job) {
    job.set_files_done(job.files_done() + 1);
    job.set_chunks(job.chunks() + static_cast<uint64_t>(request.chunks_size()));
    job.set_bytes(job.bytes() + bytes);
  });
  for (const std::string& note : notes) job_.List(source, "came in, but " + note);
  return Status();
}

Status JobRun::Quarantine(const std::string& digest, const std::string& reason) {
  v1::AppendRequest request;
  request.set_event("document.quarantined");
  request.set_body_json(QuarantineBody(destination_.collection, digest, reason));
  request.set_actor_kind("service");
  request.set_actor("ingest");
  return Annotate(peers_.audit.Append(request).status(), "a dangerous file could not be recorded in the audit log");
}

Status JobRun::PutDocument(v1::PutDocumentRequest& request) {
  const auto put = [&](const KnownSources& sources) {
    const auto known = sources.find(request.source());
    request.set_replaces(known == sources.end() ? "" : known->second.version_id);
    v1::PutDocumentResponse response;
    return CallPeer(options_.patience, job_.halt(), kPutTimeout, false, [&](grpc::ClientContext& context) {
      return peers_.documents->PutDocument(&context, request, &response);
    });
  };
  const Status status = put(known_);
  if (status.code() != StatusCode::kAborted) return status;
  // What an ingest that was killed had sent off has come in only now. What this job read is newer.
  CLOISTER_ASSIGN_OR_RETURN(const KnownSources now, ListSources());
  return put(now);
}

Status JobRun::Prune() {
  if (scan_.unreadable) {
    job_.List("", "nothing was pruned, because part of the folder could not be read");
    return Status();
  }
  if (scan_.files.empty() && !known_.empty()) {
    return FailedPrecondition("the folder has no files at all, so nothing was pruned; is it mounted?");
  }
  for (const auto& [source, known] : known_) {
    if (ingest::Contains(scan_, source)) continue;
    v1::DeleteDocumentRequest request;
    request.set_collection(destination_.collection);
    request.set_origin(destination_.origin);
    request.set_source(source);
    request.set_version_id(known.version_id);
    v1::DeleteDocumentResponse response;
    const Status deleted = CallPeer(options_.patience, job_.halt(), kQuickTimeout, false, [&](grpc::ClientContext& context) {
      return peers_.documents->DeleteDocument(&context, request, &response);
    });
    if (deleted.code() == StatusCode::kAborted) {
      job_.List(source, "is gone from the folder and was not pruned, because it came in anew meanwhile; ingest once more");
      continue;
    }
    CLOISTER_RETURN_IF_ERROR(deleted);
    job_.Update([](v1::Job& job) { job.set_files_deleted(job.files_deleted() + 1); });
  }
  return Status();
}

void JobRun::FailFile(const std::string& source, const std::string& reason) {
  job_.Update([](v1::Job& job) { job.set_files_failed(job.files_failed() + 1); });
  const bool stays = known_.find(source) != known_.end();
  job_.List(source, stays ? reason + "; the version from before stays" : reason);
}

void JobRun::EndWith(const Status& status) {
  {
    std::lock_guard lock(mutex_);
    // The first error is the cause; what follows from halting is not.
    if (failure_.ok()) failure_ = status;
  }
  job_.End();
  prepared_.Abort();
}

}  // namespace cloister::services

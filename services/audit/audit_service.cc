// SPDX-License-Identifier: Apache-2.0
#include "services/audit/audit_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/file.h"
#include "common/log.h"
#include "services/audit/append_rules.h"
#include "services/server/maintenance.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

using nlohmann::json;

Status CheckOriginPart(std::string_view key, std::string_view value) {
  if (audit::CheckKeyName(value).ok() && value.find('/') == std::string_view::npos) return absl::OkStatus();
  return InvalidArgument(std::string(key) + " must be printable ASCII without spaces, '/' and '+'");
}

Status CheckRequester(std::string_view requested_by) {
  return requested_by.empty() ? InvalidArgument("requested_by must name the person who asks")
                              : absl::OkStatus();
}

// A changed appliance name would look like a forged log; say what it is instead.
Status CheckSameOrigin(const std::filesystem::path& log_directory, const std::string& origin) {
  const auto note = ReadFile(log_directory / audit::kCheckpointFile, audit::kNoteBytesMax);
  if (!note.ok()) return absl::OkStatus();  // LogWriter::Open says what is wrong, or makes a new log.
  const std::string found = note->substr(0, note->find('\n'));
  if (found == origin || !audit::CheckKeyName(found).ok()) return absl::OkStatus();
  return FailedPrecondition(
      "the audit log here is '" + found + "', not '" + origin +
      "': set appliance.name and appliance.tenant back, or put the file 'generation' back after a restore");
}

}  // namespace

std::vector<std::string> AuditColumnFamilies() {
  return {std::string(kPeopleFamily), std::string(kForgettingFamily), std::string(kSectionsFamily),
          std::string(kSectionKeysFamily), std::string(kGoneDocumentsFamily)};
}

std::vector<MethodRule> AuditRules() {
  const std::string prefix = "/cloister.v1.Audit/";
  std::vector<MethodRule> rules = MaintenanceRules();
  rules.insert(rules.end(),
               {
                   {prefix + "Append",
                    {"gateway", "retrieval", "ingest", "keys", "embedding", "generation", "relay", "supervisor"}},
                   {prefix + "GetEntries", {"gateway"}},
                   {prefix + "GetReceipt", {"gateway"}},
                   {prefix + "Export", {"gateway"}},
                   {prefix + "Unseal", {"gateway"}},
                   {prefix + "Forget", {"retrieval"}},
                   {prefix + "FindReleases", {"gateway", "retrieval"}},
                   {prefix + "GetLogStatus", {"gateway", "supervisor"}},
               });
  return rules;
}

AuditService::AuditService(AuditServiceOptions options, LogGeneration generation, audit::NoteSigner signer,
                           storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys,
                           const Clock& clock)
    : options_(std::move(options)),
      generation_(std::move(generation)),
      signer_(std::move(signer)),
      clock_(clock),
      keys_(keys),
      database_(database),
      store_(store, options_.log_directory, options_.on_failure),
      people_(store_, database, keys, kKeysAhead),
      sections_(store_, database, keys, people_),
      gone_documents_(store_, database, keys),
      clock_watch_(clock.Now(), clock.Monotonic()) {}

AuditService::~AuditService() = default;

StatusOr<std::unique_ptr<AuditService>> AuditService::Open(AuditServiceOptions options,
                                                           storage::KvStore& store,
                                                           const DatabaseId& database,
                                                           storage::KeySource& keys, const Clock& clock) {
  CLOISTER_RETURN_IF_ERROR(CheckOriginPart("appliance.name", options.appliance));
  CLOISTER_RETURN_IF_ERROR(CheckOriginPart("appliance.tenant", options.tenant));
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(options.log_directory));
  CLOISTER_ASSIGN_OR_RETURN(LogGeneration generation,
                            ReadGeneration(options.log_directory.parent_path() / kGenerationFile));
  const std::string origin =
      options.appliance + "/" + options.tenant + "/" + std::to_string(generation.number);
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys.GetNamedKey(storage::KeyKind::kSigning, "log"));
  CLOISTER_ASSIGN_OR_RETURN(auto signer, audit::NoteSigner::New(origin, seed.key->view()));
  CLOISTER_RETURN_IF_ERROR(CheckSameOrigin(options.log_directory, origin));
  std::unique_ptr<AuditService> service(new AuditService(std::move(options), std::move(generation),
                                                         std::move(signer), store, database, keys, clock));
  CLOISTER_RETURN_IF_ERROR(service->people_.Load());
  CLOISTER_RETURN_IF_ERROR(service->gone_documents_.Load());
  CLOISTER_RETURN_IF_ERROR(service->OpenLog());
  service->FinishInterruptedForgetting();
  return service;
}

Status AuditService::OpenLog() {
  audit::LogWriterOptions log;
  log.directory = options_.log_directory;
  log.tenant = options_.tenant;
  log.checkpoint_interval = options_.checkpoint_interval;
  log.section_sink = [this](const auto& sections) { return sections_.Put(sections); };
  log.on_failure = options_.on_failure;
  log.fault = options_.fault;
  CLOISTER_ASSIGN_OR_RETURN(log_, audit::LogWriter::Open(std::move(log), signer_, clock_));
  if (options_.on_log_open) CLOISTER_RETURN_IF_ERROR(options_.on_log_open(*log_));
  const audit::LogState state = log_->State();
  std::string last_time;
  if (state.size > 0) {
    CLOISTER_ASSIGN_OR_RETURN(const auto entries, log_->Read(state.size - 1, 1));
    if (entries.empty()) return DataLoss("audit log: the last entry cannot be read");
    CLOISTER_ASSIGN_OR_RETURN(const audit::Envelope last, audit::ParseEnvelope(entries.front()));
    last_time = last.time;
  }
  if (state.size == 0 && generation_.number > kFirstGeneration) CLOISTER_RETURN_IF_ERROR(RecordRestored());
  const json started = {{"boot", BootId()}, {"torn_bytes", state.torn_bytes}};
  CLOISTER_RETURN_IF_ERROR(RecordOwn("service.started", started.dump(), "", "").status());
  // Times of one form compare as text.
  if (const std::string now = FormatTime(clock_.Now()); now < last_time) {
    const json stepped = {{"expected", last_time}, {"found", now}, {"since", "last run"}};
    CLOISTER_RETURN_IF_ERROR(RecordOwn("clock.stepped", stepped.dump(), "", "").status());
  }
  return absl::OkStatus();
}

void AuditService::Stop() {
  const auto stopped = RecordOwn("service.stopped", "{}", "", "");
  if (!stopped.ok()) LogStatus(LogLevel::kWarning, "audit.append_failed", stopped.status());
  log_->Close();
}

StatusOr<uint64_t> AuditService::RecordOwn(std::string_view event, const std::string& body_json,
                                           const std::string& person,
                                           const std::string& person_section_json) {
  v1::AppendRequest request;
  request.set_event(std::string(event));
  request.set_body_json(body_json);
  request.set_actor_kind(person.empty() ? "service" : "user");
  request.set_actor(person.empty() ? "audit" : person);
  if (!person_section_json.empty()) {
    v1::SectionInput* section = request.add_sections();
    section->set_subject_kind("user");
    section->set_subject(person);
    section->set_content_json(person_section_json);
  }
  std::shared_lock sealing(sealing_);
  CLOISTER_ASSIGN_OR_RETURN(const audit::Event made, MakeEvent(request));
  return log_->Append(made);
}

Status AuditService::NoteClock() {
  const auto step = clock_watch_.Check(clock_.Now(), clock_.Monotonic());
  if (!step) return absl::OkStatus();
  const json body = {{"expected", FormatTime(step->expected)}, {"found", FormatTime(step->found)}};
  return RecordOwn("clock.stepped", body.dump(), "", "").status();
}

StatusOr<audit::Event> AuditService::MakeEvent(const v1::AppendRequest& request) {
  if (static_cast<size_t>(request.subjects_size()) > audit::kSubjectsMax ||
      static_cast<size_t>(request.sections_size()) > audit::kSectionsMax) {
    return InvalidArgument("an audit record has at most 256 subjects and 128 sections");
  }
  std::vector<PersonName> names;
  const bool by_user = request.actor_kind() == "user";
  if (by_user) {
    names.push_back({PersonName::Kind::kUser, request.actor()});
  } else if (request.actor_kind() != "service" || !IsServiceIdentity(request.actor())) {
    return InvalidArgument("actor_kind is \"user\", or \"service\" with the identity of a service");
  }
  for (const std::string& subject : request.subjects())
    names.push_back({PersonName::Kind::kSubject, subject});
  for (const v1::SectionInput& section : request.sections()) {
    CLOISTER_ASSIGN_OR_RETURN(const auto kind, ParsePersonKind(section.subject_kind()));
    names.push_back({kind, section.subject()});
  }
  // Before anybody gets a key: a refused record leaves nothing behind.
  audit::Event event;
  event.name = request.event();
  event.body_json = request.body_json();
  event.who = audit::Actor{audit::Actor::Kind::kService, by_user ? "user" : request.actor()};
  CLOISTER_RETURN_IF_ERROR(audit::PreparedRecord::New(event, options_.tenant).status());
  auto made = FillEvent(request, names, event);
  // Somebody was forgotten meanwhile. Who comes again is somebody new, with a key.
  if (made.status().code() == StatusCode::kNotFound) made = FillEvent(request, names, std::move(event));
  return made;
}

StatusOr<audit::Event> AuditService::FillEvent(const v1::AppendRequest& request,
                                               const std::vector<PersonName>& names, audit::Event event) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Person> people, people_.GetOrAdd(names));
  auto person = people.begin();
  if (request.actor_kind() == "user")
    event.who = audit::Actor{audit::Actor::Kind::kUser, (person++)->pseudonym.hex()};
  for (int i = 0; i < request.subjects_size(); ++i) {
    const Pseudonym& pseudonym = (person++)->pseudonym;
    // A subject named twice is one subject.
    if (std::find(event.subjects.begin(), event.subjects.end(), pseudonym) == event.subjects.end()) {
      event.subjects.push_back(pseudonym);
    }
  }
  for (const v1::SectionInput& input : request.sections()) {
    CLOISTER_ASSIGN_OR_RETURN(audit::SealedSection section, sections_.Seal(*person++, input.content_json()));
    // Asked after sealing: a document that is forgotten from here on takes the key of this section along.
    if (input.subject_kind() == KindName(PersonName::Kind::kDocument) &&
        gone_documents_.Contains(input.subject())) {
      CLOISTER_ASSIGN_OR_RETURN(section, sections_.SealForNobody(input.content_json()));
    }
    event.sections.push_back(std::move(section));
  }
  return event;
}

StatusOr<uint64_t> AuditService::Record(std::string_view identity, const v1::AppendRequest& request) {
  CLOISTER_RETURN_IF_ERROR(CheckMayAppend(identity, request.event()));
  CLOISTER_RETURN_IF_ERROR(NoteClock());
  std::shared_lock sealing(sealing_);
  CLOISTER_ASSIGN_OR_RETURN(const audit::Event event, MakeEvent(request));
  return log_->Append(event);
}

Status AuditService::Query(const v1::GetEntriesRequest& request, v1::GetEntriesResponse& response) {
  CLOISTER_RETURN_IF_ERROR(CheckRequester(request.requested_by()));
  if (request.count() == 0 || request.count() > kEntriesPerCallMax) {
    return InvalidArgument("count must be 1 to " + std::to_string(kEntriesPerCallMax));
  }
  CLOISTER_ASSIGN_OR_RETURN(std::optional<FormerLog> former, FormerLogOf(request.generation()));
  json body = {{"first", std::to_string(request.first())}, {"count", request.count()}};
  if (former) body["generation"] = former->generation;
  CLOISTER_RETURN_IF_ERROR(RecordOwn("audit.queried", body.dump(), request.requested_by(), "").status());
  CLOISTER_ASSIGN_OR_RETURN(auto entries, former ? former->log->Read(request.first(), request.count())
                                                 : log_->Read(request.first(), request.count()));
  for (std::string& entry : entries) *response.add_envelopes() = std::move(entry);
  response.set_size(former ? former->log->size() : log_->State().size);
  response.set_generation(former ? former->generation : generation_.number);
  return absl::OkStatus();
}

Status AuditService::Receive(const v1::GetReceiptRequest& request, v1::GetReceiptResponse& response) {
  CLOISTER_ASSIGN_OR_RETURN(std::optional<FormerLog> former, FormerLogOf(request.generation()));
  if (former) {
    CLOISTER_ASSIGN_OR_RETURN(const audit::Receipt receipt, former->log->Prove(request.index()));
    response.set_receipt(audit::FormatReceipt(receipt));
    CLOISTER_ASSIGN_OR_RETURN(*response.mutable_verifier_key(), LogKeyOf(former->origin));
    response.set_envelope(*receipt.extra);
    return absl::OkStatus();
  }
  if (request.index() >= log_->State().size) return NotFound("the log has no entry of that index");
  // It saves the caller from coming again; what goes wrong meanwhile is what Prove says.
  (void)log_->WaitForCheckpoint(request.index() + 1, kCheckpointWait);
  CLOISTER_ASSIGN_OR_RETURN(const audit::Receipt receipt, log_->Prove(request.index()));
  response.set_receipt(audit::FormatReceipt(receipt));
  response.set_verifier_key(signer_.verifier_key());
  response.set_envelope(*receipt.extra);
  return absl::OkStatus();
}

Status AuditService::Open(const v1::UnsealRequest& request, v1::UnsealResponse& response) {
  CLOISTER_RETURN_IF_ERROR(CheckRequester(request.requested_by()));
  if (request.reason().size() < kReasonBytesMin || request.reason().size() > kReasonBytesMax) {
    return InvalidArgument("a reason has 8 to 1000 bytes");
  }
  CLOISTER_ASSIGN_OR_RETURN(std::optional<FormerLog> former, FormerLogOf(request.generation()));
  CLOISTER_ASSIGN_OR_RETURN(const auto entries,
                            former ? former->log->Read(request.index(), 1) : log_->Read(request.index(), 1));
  if (entries.empty()) return NotFound("the log has no entry of that index");
  CLOISTER_ASSIGN_OR_RETURN(const audit::Envelope envelope, audit::ParseEnvelope(entries.front()));
  json ids = json::array();
  for (const audit::SectionReference& section : envelope.sections) ids.push_back(section.id.hex());
  json body = {{"index", request.index()}, {"sections", ids}};
  if (former) body["generation"] = former->generation;
  const json reason = {{"reason", request.reason()}};
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t own,
                            RecordOwn("audit.unsealed", body.dump(), request.requested_by(), reason.dump()));
  response.set_audit_index(own);
  // Sections are in the store once a checkpoint covers their record; all generations keep them in one.
  if (!former) CLOISTER_RETURN_IF_ERROR(log_->WaitForCheckpoint(request.index() + 1, kCheckpointWait));
  for (const audit::SectionReference& reference : envelope.sections) {
    v1::UnsealedSection* section = response.add_sections();
    section->set_section_id(reference.id.hex());
    const auto opened = sections_.Open(reference);
    if (opened.ok()) {
      section->set_subject_kind(std::string(KindName(opened->about.kind)));
      section->set_subject(opened->about.name);
      section->set_content_json(opened->content_json);
    } else {
      section->set_error(opened.status().code() == StatusCode::kNotFound ? "its key was destroyed"
                                                                         : MessageOf(opened.status()));
    }
  }
  return absl::OkStatus();
}

grpc::Status AuditService::Append(grpc::ServerContext* context, const v1::AppendRequest* request,
                                  v1::AppendResponse* response) {
  const auto index = Record(CallerIdentity(*context), *request);
  if (!index.ok()) return ToGrpc(index.status());
  response->set_index(*index);
  return grpc::Status::OK;
}

grpc::Status AuditService::GetEntries(grpc::ServerContext*, const v1::GetEntriesRequest* request,
                                      v1::GetEntriesResponse* response) {
  return ToGrpc(Query(*request, *response));
}

grpc::Status AuditService::GetReceipt(grpc::ServerContext*, const v1::GetReceiptRequest* request,
                                      v1::GetReceiptResponse* response) {
  return ToGrpc(Receive(*request, *response));
}

grpc::Status AuditService::Export(grpc::ServerContext*, const v1::ExportRequest* request,
                                  grpc::ServerWriter<v1::ExportFile>* writer) {
  const auto run = [&]() -> Status {
    CLOISTER_RETURN_IF_ERROR(CheckRequester(request->requested_by()));
    const json body = {{"kind", "audit log"}};
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t own,
                              RecordOwn("export.created", body.dump(), request->requested_by(), ""));
    CLOISTER_RETURN_IF_ERROR(
        log_->WaitForCheckpoint(own + 1, kCheckpointWait));  // The export holds its own record.
    return log_->Export([&](const std::string& path, uint64_t offset, std::string_view piece) {
      v1::ExportFile file;
      file.set_path(path);
      file.set_offset(offset);
      file.set_content(std::string(piece));
      return writer->Write(file) ? absl::OkStatus() : Error(StatusCode::kCancelled, "the receiver went away");
    });
  };
  return ToGrpc(run());
}

grpc::Status AuditService::Unseal(grpc::ServerContext*, const v1::UnsealRequest* request,
                                  v1::UnsealResponse* response) {
  return ToGrpc(Open(*request, *response));
}

void AuditService::TellWitnesses(v1::LogStatus& response) const {
  const WitnessWatch* watch = options_.witnesses ? options_.witnesses() : nullptr;
  if (watch == nullptr) {
    response.add_not_protected(
        "The audit log has no witness: rollback would go undetected. Whoever controls this machine could put "
        "the log back to an older state; checkpoints that auditors keep elsewhere would show it.");
    response.add_not_protected("The times in the audit log are this machine's own; no outside clock confirms them.");
    return;
  }
  response.set_witnessed(watch->Witnessed());
  for (const WitnessState& state : watch->States()) {
    v1::WitnessStatus& wire = *response.add_witnesses();
    wire.set_name(state.name);
    wire.set_size(state.size);
    wire.set_cosigned_at(state.cosigned_at);
    wire.set_problem(state.problem);
    if (state.problem.empty()) continue;
    response.add_not_protected("The witness " + state.name + " did not cosign the audit log when it was asked last: " +
                               state.problem + ".");
  }
}

grpc::Status AuditService::GetLogStatus(grpc::ServerContext*, const v1::GetLogStatusRequest*,
                                        v1::LogStatus* response) {
  const audit::LogState state = log_->State();
  response->set_origin(signer_.name());
  response->set_verifier_key(signer_.verifier_key());
  response->set_size(state.size);
  response->set_checkpoint_size(state.checkpoint_size);
  response->set_checkpoint(state.checkpoint);
  TellWitnesses(*response);
  if (state.disk_full) {
    response->add_not_protected(
        "The disk is full: only emergency records are accepted, everything else is refused.");
  }
  return grpc::Status::OK;
}

}  // namespace cloister::services

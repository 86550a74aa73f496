// SPDX-License-Identifier: Apache-2.0
// Whole jobs against fakes of the other services and the real parse process.
#include "services/ingest/ingest_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <google/protobuf/descriptor.h>

#include <filesystem>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "cloister/v1/maintenance.pb.h"
#include "services/ingest/fake_peers.h"
#include "storage/memory_store.h"
#include "storage/temporary_directory.h"

namespace cloister::services {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class IngestServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.data_directory = directory_.path() / "data";
    options_.parser.binary = CLOISTER_PARSE_BINARY;
    options_.patience = {std::chrono::milliseconds(5'000), std::chrono::milliseconds(5), std::chrono::milliseconds(20)};
    std::filesystem::create_directories(options_.data_directory);
    std::filesystem::create_directories(Folder());
    auto jobs = JobStore::Open(store_, store_.database_id(), keys_);
    ASSERT_TRUE(jobs.ok());
    jobs_ = *std::move(jobs);
    Restart();
  }
  void Restart() {
    service_.reset();
    auto service = IngestService::Open(options_, *jobs_, peers_, clock_);
    ASSERT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
  }
  std::filesystem::path Folder() const { return directory_.path() / "in"; }
  void Write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories((Folder() / name).parent_path());
    std::ofstream(Folder() / name) << bytes;
  }
  // What was put for a file of the folder.
  const v1::PutDocumentRequest& Stored(const std::string& source) {
    return fake_.documents.documents.at({Folder().string(), source});
  }
  size_t CountStored(const std::string& source) { return fake_.documents.documents.count({Folder().string(), source}); }
  v1::StartJobRequest Request(const std::string& collection = "main") const {
    v1::StartJobRequest request;
    request.set_folder(Folder().string());
    request.set_collection(collection);
    request.set_requested_by("anna");
    return request;
  }
  v1::Job Start(const v1::StartJobRequest& request) {
    v1::Job job;
    const grpc::Status status = service_->StartJob(nullptr, &request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }
  v1::Job Get(const std::string& id, uint32_t failures_from = 0) {
    v1::GetJobRequest request;
    request.set_id(id);
    request.set_failures_from(failures_from);
    v1::Job job;
    const grpc::Status status = service_->GetJob(nullptr, &request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }
  v1::Job Await(const std::string& id) {
    while (true) {
      const v1::Job job = Get(id);
      if (job.state() != v1::JOB_STATE_RUNNING) return job;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  v1::Job Run(const v1::StartJobRequest& request) { return Await(Start(request).id()); }

  storage::TemporaryDirectory directory_;
  FakePeers fake_;
  IngestPeers peers_{fake_.Channel(), fake_.Channel(), fake_.Channel()};
  storage::MemoryKeySource keys_;
  storage::MemoryStore store_{{std::string(kJobsFamily)}};
  SystemClock clock_;
  IngestOptions options_;
  std::unique_ptr<JobStore> jobs_;
  std::unique_ptr<IngestService> service_;
};

TEST_F(IngestServiceTest, BringsAFolderIn) {
  Write("a.md", "---\nowner: HR\nsubjects: [p1]\n---\n# Rules\n\nAsk if:\n\n- you may\n");
  Write("sub/b.txt", "The ward opens at nine.");
  Write("c.docx", "PK");
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(job.files_found(), 3u);
  EXPECT_EQ(job.files_done(), 2u);
  EXPECT_EQ(job.files_unsupported(), 1u);
  EXPECT_EQ(job.files_failed(), 0u);
  EXPECT_EQ(job.chunks(), 2u);
  EXPECT_GT(job.ended_at_ns(), 0);
  ASSERT_EQ(job.failures_size(), 1);
  EXPECT_EQ(job.failures(0).source(), "c.docx");

  const v1::PutDocumentRequest& put = Stored("a.md");
  EXPECT_EQ(put.collection(), "main");
  EXPECT_EQ(put.media_type(), "text/markdown");
  EXPECT_EQ(put.title(), "Rules");
  EXPECT_EQ(put.owner(), "HR");
  EXPECT_THAT(put.subjects(), ElementsAre("p1"));
  EXPECT_EQ(put.text(), "Rules\n\nAsk if:\n\nyou may");
  EXPECT_EQ(put.embedder_sha256(), "abc");
  ASSERT_EQ(put.chunks_size(), 1);
  EXPECT_EQ(put.chunks(0).sentences_size(), 3);
  EXPECT_EQ(put.chunks(0).sentences(2).lead_in(), 1);
}

// Each vector is that of the text it stands beside: chunk, then each sentence in context and alone.
TEST_F(IngestServiceTest, PutsVectorsWhereTheyBelong) {
  std::string text = "# T\n\n";
  for (int i = 0; i < 400; ++i) text += "Rule number " + std::to_string(i) + " is in force on all wards today.\n\n";
  Write("a.md", text);
  ASSERT_EQ(Run(Request()).state(), v1::JOB_STATE_DONE);
  const v1::PutDocumentRequest& put = Stored("a.md");
  const auto text_of = [&](const std::string& vectors, size_t at) {
    float index;
    std::memcpy(&index, vectors.data() + at * FakeEmbedding::kDimension * sizeof(float), sizeof index);
    return fake_.embedding.texts.at(static_cast<size_t>(index));
  };
  ASSERT_GT(put.chunks_size(), 5);
  size_t checked = 0;
  for (const v1::ChunkInput& chunk : put.chunks()) {
    ASSERT_EQ(chunk.vector().size(), FakeEmbedding::kDimension * sizeof(float));
    const std::string chunk_text = put.text().substr(chunk.start(), chunk.end() - chunk.start());
    EXPECT_THAT(text_of(chunk.vector(), 0), HasSubstr(chunk_text));
    ASSERT_EQ(chunk.sentence_vectors().size(), static_cast<size_t>(chunk.sentences_size()) * 2 * FakeEmbedding::kDimension * sizeof(float));
    for (int s = 0; s < chunk.sentences_size(); ++s) {
      const std::string sentence = put.text().substr(chunk.sentences(s).start(), chunk.sentences(s).end() - chunk.sentences(s).start());
      EXPECT_EQ(text_of(chunk.sentence_vectors(), static_cast<size_t>(2 * s) + 1), sentence);
      EXPECT_THAT(text_of(chunk.sentence_vectors(), static_cast<size_t>(2 * s)), HasSubstr("T\n"));
      ++checked;
    }
  }
  EXPECT_EQ(checked, 401u);
}

TEST_F(IngestServiceTest, SkipsUnchangedAndReplacesChangedFiles) {
  Write("a.md", "one");
  Write("b.md", "two");
  ASSERT_EQ(Run(Request()).files_done(), 2u);
  Write("b.md", "two and more");
  const v1::Job again = Run(Request());
  EXPECT_EQ(again.files_unchanged(), 1u);
  EXPECT_EQ(again.files_done(), 1u);
  EXPECT_EQ(Stored("b.md").text(), "two and more");
  EXPECT_EQ(fake_.documents.puts, 3);
}

TEST_F(IngestServiceTest, WhatCameInLateFromAKilledIngestIsReplaced) {
  Write("a.md", "one");
  ASSERT_EQ(Run(Request()).files_done(), 1u);
  Write("a.md", "three");
  fake_.documents.before_next_put = [&] {
    const std::pair name{Folder().string(), std::string("a.md")};
    fake_.documents.documents[name].set_text("two");
    fake_.documents.versions[name] = fake_.documents.NextVersion();
  };
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.files_done(), 1u);
  EXPECT_EQ(job.files_failed(), 0u);
  EXPECT_EQ(Stored("a.md").text(), "three");
}

TEST_F(IngestServiceTest, MakesNoSentenceVectorsWhereTheCollectionWantsNone) {
  Write("a.md", "one sentence. And two.");
  ASSERT_EQ(Run(Request("plain")).state(), v1::JOB_STATE_DONE);
  const v1::ChunkInput& chunk = Stored("a.md").chunks(0);
  EXPECT_FALSE(chunk.vector().empty());
  EXPECT_TRUE(chunk.sentence_vectors().empty());
}

TEST_F(IngestServiceTest, AppliesTheManifest) {
  Write("manifest.toml", "[\"a.txt\"]\ntitle = \"Named\"\neffective_from = 2026-01-01\n");
  Write("a.txt", "text");
  Write("b.txt", "other text");
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.files_found(), 2u);
  EXPECT_EQ(Stored("a.txt").title(), "Named");
  EXPECT_EQ(Stored("a.txt").effective_from(), "2026-01-01");
  EXPECT_EQ(job.failures_size(), 0);
}

TEST_F(IngestServiceTest, AChangedManifestBringsItsFilesInAgain) {
  Write("manifest.toml", "[\"a.txt\"]\ntitle = \"Named\"\n");
  Write("a.txt", "text");
  Write("b.txt", "other text");
  ASSERT_EQ(Run(Request()).files_done(), 2u);
  Write("manifest.toml", "[\"a.txt\"]\ntitle = \"Renamed\"\n");
  const v1::Job again = Run(Request());
  EXPECT_EQ(again.files_done(), 1u);
  EXPECT_EQ(again.files_unchanged(), 1u);
  EXPECT_EQ(Stored("a.txt").title(), "Renamed");
}

TEST_F(IngestServiceTest, ABrokenManifestEndsTheJobAndSaysWhere) {
  Write("a.txt", "text");
  Write("manifest.toml", "[\"a.txt\"]\ntitel = \"Named\"\n");
  const v1::Job wrong = Run(Request());
  EXPECT_EQ(wrong.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(wrong.error(), "manifest.toml: line 2: there is no such key; the nearest known one is title");
  EXPECT_EQ(fake_.documents.puts, 0);
}

TEST_F(IngestServiceTest, NamesManifestEntriesWithoutAFile) {
  Write("manifest.toml", "[\"a.tx\"]\ntitle = \"Named\"\n");
  Write("a.txt", "text");
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE);
  ASSERT_EQ(job.failures_size(), 1);
  EXPECT_EQ(job.failures(0).source(), "a.tx");
  EXPECT_THAT(job.failures(0).reason(), HasSubstr("there is no such file"));
}

// Two folders in one collection may hold files of the same name, and pruning one leaves the other alone.
TEST_F(IngestServiceTest, KeepsFoldersOfOneCollectionApart) {
  Write("readme.md", "of the first");
  Write("only-here.md", "first");
  ASSERT_EQ(Run(Request()).files_done(), 2u);
  const std::filesystem::path other = directory_.path() / "other";
  std::filesystem::create_directories(other);
  std::ofstream(other / "readme.md") << "of the second";
  v1::StartJobRequest second = Request();
  second.set_folder(other.string());
  second.set_prune(true);
  const v1::Job job = Run(second);
  EXPECT_EQ(job.files_done(), 1u);
  EXPECT_EQ(job.files_deleted(), 0u);
  EXPECT_EQ(Stored("readme.md").text(), "of the first");
  EXPECT_EQ(CountStored("only-here.md"), 1u);
}

TEST_F(IngestServiceTest, AFolderThatMovedKeepsItsNameWhenToldTo) {
  Write("a.md", "text");
  v1::StartJobRequest named = Request();
  named.set_origin("ward handbook");
  ASSERT_EQ(Run(named).files_done(), 1u);
  std::filesystem::rename(Folder(), directory_.path() / "moved");
  named.set_folder((directory_.path() / "moved").string());
  EXPECT_EQ(Run(named).files_unchanged(), 1u);
}

TEST_F(IngestServiceTest, OtherSettingsBringFilesInAgain) {
  Write("a.md", "text");
  ASSERT_EQ(Run(Request()).files_done(), 1u);
  options_.chunks.tokens_aim = 100;
  Restart();
  EXPECT_EQ(Run(Request()).files_done(), 1u);
}

TEST_F(IngestServiceTest, SaysThatTheVersionFromBeforeStays) {
  Write("a.pdf.md", "text");
  ASSERT_EQ(Run(Request()).files_done(), 1u);
  Write("a.pdf.md", "");
  const v1::Job job = Run(Request());
  ASSERT_EQ(job.failures_size(), 1);
  EXPECT_EQ(job.failures(0).reason(), "has no text; the version from before stays");
  EXPECT_EQ(CountStored("a.pdf.md"), 1u);
}

TEST_F(IngestServiceTest, FailsSingleFilesWithReasons) {
  Write("broken.pdf", "%PDF-1.7 nothing");
  Write("empty.md", "");
  Write("good.md", "fine");
  Write("refused.md", "not wanted");
  Write("long.txt", std::string(3'000, 'x'));
  options_.file_bytes_max = 2'000;
  Restart();
  fake_.documents.refuse["refused.md"] = grpc::StatusCode::INVALID_ARGUMENT;
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE);
  EXPECT_EQ(job.files_done(), 1u);
  EXPECT_EQ(job.files_failed(), 4u);
  std::map<std::string, std::string> reasons;
  for (const v1::FileFailure& failure : job.failures()) reasons[failure.source()] = failure.reason();
  EXPECT_EQ(reasons["broken.pdf"], "is damaged or not what its name says");
  EXPECT_EQ(reasons["empty.md"], "has no text");
  EXPECT_EQ(reasons["long.txt"], "is longer than 2000 bytes");
  EXPECT_THAT(reasons["refused.md"], HasSubstr("was not accepted"));
}

TEST_F(IngestServiceTest, NotesWhatCameInWithAFlaw) {
  Write("a.md", "---\ntitel: x\n---\ntext");
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.files_done(), 1u);
  EXPECT_EQ(job.files_failed(), 0u);
  ASSERT_EQ(job.failures_size(), 1);
  EXPECT_EQ(job.failures(0).reason(), "came in, but an unknown key in the metadata, line 2, was ignored; the nearest known one is title");
}

TEST_F(IngestServiceTest, RecordsHostileFilesInTheAuditLog) {
  std::string html;
  for (int i = 0; i < 5'000; ++i) html += "<div>";
  Write("deep.html", html + "x");
  Write("good.md", "fine");
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(job.files_failed(), 1u);
  ASSERT_EQ(fake_.audit.records.size(), 1u);
  const v1::AppendRequest& record = fake_.audit.records[0];
  EXPECT_EQ(record.event(), "document.quarantined");
  EXPECT_EQ(record.actor(), "ingest");
  EXPECT_THAT(record.body_json(), HasSubstr(HexEncode(crypto::Sha256(html + "x"))));
  EXPECT_THAT(record.body_json(), ::testing::Not(HasSubstr("deep.html")));
}

TEST_F(IngestServiceTest, FailsWhenAHostileFileCannotBeRecorded) {
  std::string html;
  for (int i = 0; i < 5'000; ++i) html += "<div>";
  Write("deep.html", html + "x");
  fake_.audit.down = true;
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.error(), HasSubstr("audit log"));
}

TEST_F(IngestServiceTest, OutlastsRestartsOfItsPeers) {
  Write("a.md", "text");
  fake_.embedding.fail_next = 3;
  fake_.embedding.busy_next = 2;
  fake_.documents.fail_next = 2;
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(job.files_done(), 1u);
}

TEST_F(IngestServiceTest, EndsWhenTheDiskOfRetrievalIsFull) {
  Write("a.md", "text");
  fake_.documents.refuse["a.md"] = grpc::StatusCode::RESOURCE_EXHAUSTED;
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.error(), "refused");
}

TEST_F(IngestServiceTest, EndsWhenTheEmbedderAnswersNonsense) {
  Write("a.md", "text");
  fake_.embedding.wrong_count = true;
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.error(), HasSubstr("another count or length"));
}

TEST_F(IngestServiceTest, EndsWhenTheParserCannotBeStarted) {
  Write("a.md", "text");
  options_.parser.binary = "/nonexistent/cloister-parse";
  Restart();
  const v1::Job job = Run(Request());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.error(), HasSubstr("cloister-parse"));
}

TEST_F(IngestServiceTest, NamesAMissingCollection) {
  Write("a.md", "text");
  const v1::Job job = Run(Request("none"));
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.error(), "there is no collection of this name; make it first");
}

TEST_F(IngestServiceTest, PrunesOnlyWhenAsked) {
  Write("a.md", "one");
  Write("b.md", "two");
  ASSERT_EQ(Run(Request()).files_done(), 2u);
  std::filesystem::remove(Folder() / "a.md");
  EXPECT_EQ(Run(Request()).files_deleted(), 0u);
  v1::StartJobRequest prune = Request();
  prune.set_prune(true);
  EXPECT_EQ(Run(prune).files_deleted(), 1u);
  EXPECT_EQ(CountStored("a.md"), 0u);
  EXPECT_EQ(CountStored("b.md"), 1u);
  std::filesystem::remove(Folder() / "b.md");
  const v1::Job emptied = Run(prune);
  EXPECT_EQ(emptied.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(emptied.error(), HasSubstr("nothing was pruned"));
  EXPECT_EQ(CountStored("b.md"), 1u);
}

TEST_F(IngestServiceTest, CancelsAndGoesOnWhereItWas) {
  for (int i = 0; i < 30; ++i) Write("f" + std::to_string(100 + i) + ".md", "text " + std::to_string(i));
  fake_.embedding.delay = std::chrono::milliseconds(50);
  const std::string id = Start(Request()).id();
  while (Get(id).files_done() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  v1::CancelJobRequest cancel;
  cancel.set_id(id);
  v1::Job answer;
  ASSERT_TRUE(service_->CancelJob(nullptr, &cancel, &answer).ok());
  const v1::Job job = Await(id);
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(job.error(), "");
  const size_t stored = fake_.documents.documents.size();
  EXPECT_LT(stored, 30u);
  fake_.embedding.delay = std::chrono::milliseconds(0);
  const v1::Job again = Run(Request());
  EXPECT_EQ(again.files_unchanged(), stored);
  EXPECT_EQ(again.files_done(), 30 - stored);
}

// Neither may wait for an embedder that takes minutes.
TEST_F(IngestServiceTest, CancelsInTheMiddleOfACall) {
  Write("a.md", "text");
  fake_.embedding.hold = true;
  const std::string id = Start(Request()).id();
  fake_.embedding.AwaitHeld();
  v1::CancelJobRequest cancel;
  cancel.set_id(id);
  v1::Job answer;
  ASSERT_TRUE(service_->CancelJob(nullptr, &cancel, &answer).ok());
  EXPECT_EQ(Await(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(fake_.documents.puts, 0);
}

TEST_F(IngestServiceTest, StopMarksTheJobAsRepeatable) {
  for (int i = 0; i < 20; ++i) Write("f" + std::to_string(i) + ".md", "text");
  fake_.embedding.delay = std::chrono::milliseconds(50);
  const std::string id = Start(Request()).id();
  Restart();
  const v1::Job job = Get(id);
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.error(), "the service stopped; run it again, unchanged files are skipped");
}

TEST_F(IngestServiceTest, MarksJobsThatRanWhenTheProcessWasKilled) {
  v1::Job running;
  running.set_id(std::string(16, 'k'));
  running.set_state(v1::JOB_STATE_RUNNING);
  running.set_started_at_ns(1);
  ASSERT_TRUE(jobs_->Put(running).ok());
  Restart();
  const v1::Job job = Get(running.id());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.error(), HasSubstr("run it again"));
}

TEST_F(IngestServiceTest, PagesFailures) {
  for (int i = 0; i < 130; ++i) Write("f" + std::to_string(1000 + i) + ".xyz", "x");
  const std::string id = Run(Request()).id();
  EXPECT_EQ(Get(id).failures_size(), kFailuresPerAnswer);
  const v1::Job rest = Get(id, 100);
  EXPECT_EQ(rest.failures_size(), 30);
  // Files are looked at by several threads, so their order is not given; each is there once.
  std::set<std::string> sources;
  for (const v1::Job& page : {Get(id), rest}) {
    for (const v1::FileFailure& failure : page.failures()) sources.insert(failure.source());
  }
  EXPECT_EQ(sources.size(), 130u);
  EXPECT_EQ(Get(id, 1'000'000).failures_size(), 0);
}

TEST_F(IngestServiceTest, ListsJobsNewestFirst) {
  Write("a.md", "one");
  const std::string first = Run(Request()).id();
  const std::string second = Run(Request()).id();
  v1::ListJobsRequest request;
  v1::ListJobsResponse response;
  ASSERT_TRUE(service_->ListJobs(nullptr, &request, &response).ok());
  ASSERT_EQ(response.jobs_size(), 2);
  EXPECT_EQ(response.jobs(0).id(), second);
  EXPECT_EQ(response.jobs(1).id(), first);
}

TEST_F(IngestServiceTest, RefusesWrongRequests) {
  const auto code = [&](const v1::StartJobRequest& request) {
    v1::Job job;
    return service_->StartJob(nullptr, &request, &job).error_code();
  };
  v1::StartJobRequest request = Request();
  request.set_folder("relative/path");
  EXPECT_EQ(code(request), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_folder((options_.data_directory / "retrieval").string());
  std::filesystem::create_directories(options_.data_directory / "retrieval");
  EXPECT_EQ(code(request), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_folder((directory_.path() / "none").string());
  EXPECT_EQ(code(request), grpc::StatusCode::NOT_FOUND);
  v1::GetJobRequest get;
  get.set_id(std::string(16, 'x'));
  v1::Job job;
  EXPECT_EQ(service_->GetJob(nullptr, &get, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  get.set_id("short");
  EXPECT_EQ(service_->GetJob(nullptr, &get, &job).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::CancelJobRequest cancel;
  cancel.set_id(std::string(16, 'x'));
  EXPECT_EQ(service_->CancelJob(nullptr, &cancel, &job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(IngestServiceTest, LimitsWaitingJobs) {
  Write("a.md", "text");
  fake_.embedding.delay = std::chrono::milliseconds(500);
  const v1::StartJobRequest request = Request();
  grpc::StatusCode last = grpc::StatusCode::OK;
  for (size_t i = 0; i <= kJobsWaitingMax + 1 && last == grpc::StatusCode::OK; ++i) {
    v1::Job job;
    last = service_->StartJob(nullptr, &request, &job).error_code();
  }
  EXPECT_EQ(last, grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(IngestRulesTest, EveryMethodIsForGatewayAlone) {
  std::map<std::string, std::vector<std::string>> rules;
  for (const MethodRule& rule : IngestRules()) rules[rule.method] = rule.identities;
  size_t methods = 0;
  for (const auto* file : {v1::StartJobRequest::descriptor()->file(), v1::CheckpointRequest::descriptor()->file()}) {
    const auto* service = file->service(0);
    for (int i = 0; i < service->method_count(); ++i, ++methods) {
      EXPECT_THAT(rules["/" + service->full_name() + "/" + service->method(i)->name()], ElementsAre("gateway"));
    }
  }
  EXPECT_EQ(rules.size(), methods);
}

TEST(JobStoreTest, KeepsJobsSealedAndSaysWhatIsWrongWithARow) {
  storage::MemoryKeySource keys;
  storage::MemoryStore store({std::string(kJobsFamily)});
  auto jobs = JobStore::Open(store, store.database_id(), keys);
  ASSERT_TRUE(jobs.ok());
  v1::Job job;
  job.set_id(std::string(16, 'a'));
  job.set_collection("secret-collection");
  job.add_failures()->set_source("name.pdf");
  ASSERT_TRUE((*jobs)->Put(job).ok());
  EXPECT_EQ((*jobs)->Get(job.id())->SerializeAsString(), job.SerializeAsString());
  std::string row = *store.Get(kJobsFamily, job.id());
  EXPECT_EQ(row.find("secret-collection"), std::string::npos);
  row[row.size() - 1] = static_cast<char>(row[row.size() - 1] ^ 1);
  storage::WriteBatch batch;
  batch.Put(kJobsFamily, job.id(), row);
  ASSERT_TRUE(store.Write(batch).ok());
  EXPECT_EQ((*jobs)->Get(job.id()).status().code(), StatusCode::kDataLoss);
  size_t unreadable = 0;
  EXPECT_TRUE((*jobs)->List(unreadable)->empty());
  EXPECT_EQ(unreadable, 1u);
  ASSERT_TRUE((*jobs)->Delete(job.id()).ok());
  EXPECT_EQ((*jobs)->Get(job.id()).status().code(), StatusCode::kNotFound);
}

TEST(JobStoreTest, RefusesAnotherFormat) {
  storage::MemoryKeySource keys;
  storage::MemoryStore store({std::string(kJobsFamily)});
  auto jobs = JobStore::Open(store, store.database_id(), keys);
  ASSERT_TRUE(jobs.ok());
  storage::SealedStore sealed(store.database_id(), keys);
  storage::WriteBatch batch;
  const std::string id(16, 'b');
  ASSERT_TRUE(sealed.Put(batch, kJobsFamily, id, *keys.GetNamedKey(storage::KeyKind::kStore, "rows"), "\x07xyz").ok());
  ASSERT_TRUE(store.Write(batch).ok());
  EXPECT_EQ((*jobs)->Get(id).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace cloister::services

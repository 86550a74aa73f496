// SPDX-License-Identifier: Apache-2.0
// `cloister ingest` and `cloister jobs`: brings a folder in and shows how far it is.
#include <csignal>
#include <memory>
#include <ostream>
#include <thread>

#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kPoll{200};
constexpr size_t kFailuresPerReply = 100;
constexpr size_t kFailuresShown = 100;

volatile std::sig_atomic_t interrupted = 0;

extern "C" void OnInterrupt(int) { interrupted = 1; }

// Ctrl-C cancels the job instead of killing this process, for the life of the object.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = OnInterrupt;
    ::sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGuard() { ::sigaction(SIGINT, &before_, nullptr); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction before_ {};
};

struct IngestFlags {
  std::string folder;
  std::string collection;
  std::string origin;
  bool prune = false;
  bool json = false;
};

uint64_t Count(const json& job, const char* name) { return job.value(name, uint64_t{0}); }

uint64_t Handled(const json& job) {
  return Count(job, "files_done") + Count(job, "files_unchanged") + Count(job, "files_failed") +
         Count(job, "files_unsupported");
}

std::string Rate(const json& job, double seconds) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f files/s", seconds > 0 ? static_cast<double>(Handled(job)) / seconds : 0.0);
  return text;
}

std::string Counts(const json& job) {
  const auto count = [&](const char* name) { return std::to_string(Count(job, name)); };
  std::string text = count("files_done") + " added or changed, " + count("files_unchanged") + " unchanged, " +
                     count("files_failed") + " failed";
  if (Count(job, "files_unsupported") > 0) text += ", " + count("files_unsupported") + " of a kind not read";
  if (Count(job, "files_deleted") > 0) text += ", " + count("files_deleted") + " deleted";
  return text;
}

// All failures of a job, fetched page by page; `job` is the last reply.
StatusOr<json> WithFailures(GatewayClient& client, const std::string& id) {
  json all;
  size_t from = 0;
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(json job, client.Get("/admin/v1/jobs/" + PathSegment(id) +
                                                   "?failures_from=" + std::to_string(from)));
    const json page = job.value("failures", json::array());
    if (all.is_null()) {
      all = std::move(job);
    } else {
      all["failures"].insert(all["failures"].end(), page.begin(), page.end());
    }
    if (page.size() < kFailuresPerReply) return all;
    from += page.size();
  }
}

void PrintFailures(const json& job, std::ostream& out) {
  const json failures = job.value("failures", json::array());
  for (size_t i = 0; i < failures.size() && i < kFailuresShown; ++i) {
    out << "  " << Printable(failures[i].value("source", "")) << ": " << Printable(failures[i].value("reason", ""))
        << "\n";
  }
  if (failures.size() > kFailuresShown) {
    out << "  and " << failures.size() - kFailuresShown << " more: cloister jobs " << job.value("id", "")
        << " --json\n";
  }
}

// Polls until the job has ended. Draws one line again and again for a person, and nothing otherwise.
StatusOr<json> Follow(CliContext& context, GatewayClient& client, json job) {
  const std::string id = job.value("id", "");
  const auto started = std::chrono::steady_clock::now();
  bool cancelled = false;
  while (job.value("state", "") == "running") {
    if (interrupted && !cancelled) {
      cancelled = true;
      context.error() << "\nstopping; what is in stays in, and the same command goes on from there" << std::endl;
      CLOISTER_RETURN_IF_ERROR(client.Call("POST", "/admin/v1/jobs/" + PathSegment(id) + "/cancel", nullptr).status());
    }
    std::this_thread::sleep_for(kPoll);
    CLOISTER_ASSIGN_OR_RETURN(job, client.Get("/admin/v1/jobs/" + PathSegment(id) + "?failures_from=1000000"));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (context.out_is_terminal()) {
      context.error() << "\r\033[K" << Handled(job) << " of " << Count(job, "files_found") << " files: " << Counts(job)
                      << "; " << Rate(job, seconds) << std::flush;
    }
  }
  if (context.out_is_terminal()) context.error() << "\r\033[K" << std::flush;
  return WithFailures(client, id);
}

void PrintSummary(const json& job, double seconds, std::ostream& out) {
  out << job.value("collection", "") << ": " << Count(job, "files_found") << " files: " << Counts(job) << "; "
      << Count(job, "chunks") << " chunks, " << HumanBytes(static_cast<double>(Count(job, "bytes"))) << " in "
      << HumanSeconds(seconds) << " (" << Rate(job, seconds) << ")\n";
}

bool Succeeded(const json& job) { return job.value("state", "") == "done" && Count(job, "files_failed") == 0; }

int RunIngest(CliContext& context, const IngestFlags& flags, const CredentialFlags& credentials) {
  StatusOr<GatewayClient> client = MakeClient(context, credentials, false);
  if (!client.ok()) return context.Fail(client.status());
  const std::string folder = std::filesystem::absolute(flags.folder).lexically_normal().string();
  const auto started = std::chrono::steady_clock::now();
  const InterruptGuard guard;
  json request = {{"folder", folder}, {"collection", flags.collection}, {"prune", flags.prune}};
  if (!flags.origin.empty()) request["as"] = flags.origin;
  StatusOr<json> job = client->Call("POST", "/admin/v1/jobs", request);
  if (job.ok()) job = Follow(context, *client, *std::move(job));
  if (!job.ok()) return context.Fail(job.status());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  if (flags.json) {
    context.out() << job->dump(2) << std::endl;
    return Succeeded(*job) ? kExitOk : kExitFailed;
  }
  PrintFailures(*job, context.error());
  PrintSummary(*job, seconds, context.out());
  context.out() << std::flush;
  const std::string state = job->value("state", "");
  if (state == "failed") {
    const json reason = job->value("error", json());
    return context.Fail(Internal(reason.is_string() ? reason.get<std::string>() : "the job failed"));
  }
  if (state == "cancelled") context.error() << "cloister: cancelled" << std::endl;
  return Succeeded(*job) ? kExitOk : kExitFailed;
}

int RunJobs(CliContext& context, const std::string& id, bool as_json, const CredentialFlags& credentials) {
  StatusOr<GatewayClient> client = MakeClient(context, credentials, false);
  if (!client.ok()) return context.Fail(client.status());
  const StatusOr<json> reply = id.empty() ? client->Get("/admin/v1/jobs") : WithFailures(*client, id);
  if (!reply.ok()) return context.Fail(reply.status());
  if (as_json) {
    context.out() << reply->dump(2) << std::endl;
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows{{"JOB", "STATE", "STARTED", "COLLECTION", "FILES"}};
  const json jobs = id.empty() ? reply->value("jobs", json::array()) : json::array({*reply});
  for (const json& job : jobs) {
    const json started = job.value("started_at", json());
    rows.push_back({job.value("id", ""), job.value("state", ""),
                    started.is_string() ? started.get<std::string>().substr(0, 19) + "Z" : "-",
                    job.value("collection", ""), Counts(job)});
  }
  PrintTable(context.out(), rows);
  if (!id.empty()) PrintFailures(*reply, context.out());
  context.out() << std::flush;
  return kExitOk;
}

void AddJobsCommand(CLI::App& app, CliContext& context) {
  auto id = std::make_shared<std::string>();
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("jobs", "List ingest jobs, or show one with the files that failed");
  command->add_option("id", *id, "job to show");
  command->add_flag("--json", *as_json, "for programs");
  auto credentials = AddCredentialFlags(*command);
  command->callback([&context, id, as_json, credentials] {
    context.command = [&context, id, as_json, credentials] { return RunJobs(context, *id, *as_json, *credentials); };
  });
}

}  // namespace

void AddIngestCommands(CLI::App& app, CliContext& context) {
  auto flags = std::make_shared<IngestFlags>();
  CLI::App* command = app.add_subcommand("ingest", "Bring a folder's documents into a collection");
  command->add_option("folder", flags->folder, "folder on this machine")->required();
  command->add_option("--collection", flags->collection, "collection that takes them")->required();
  command->add_option("--as", flags->origin, "name of the folder in the collection [its path]");
  command->add_flag("--prune", flags->prune, "also delete documents of this folder whose file is gone");
  command->add_flag("--json", flags->json, "the finished job for programs");
  auto credentials = AddCredentialFlags(*command);
  command->footer(
      "Files that have not changed are skipped, so an interrupted run (Ctrl-C) goes on when it is started again.\n"
      "manifest.toml in the folder may give files titles, dates, subjects and an owner.\n"
      "Several folders may go into one collection; each is known by its path, or by --as after it has moved.\n"
      "Exit status: 0 when every file of a kind that is read came in; 1 when one failed, or the job failed or was\n"
      "cancelled; 2 for wrong usage. Files that failed are listed on standard error with the reason.");
  command->callback([&context, flags, credentials] {
    context.command = [&context, flags, credentials] { return RunIngest(context, *flags, *credentials); };
  });
  AddJobsCommand(app, context);
}

}  // namespace cloister::services

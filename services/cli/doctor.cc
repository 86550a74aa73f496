// SPDX-License-Identifier: Apache-2.0
// `cloister doctor`: reads everything the appliance stores, explains what is damaged and mends what can be
// mended.
#include "services/cli/doctor.h"

#include <algorithm>
#include <chrono>
#include <iomanip>
#include <memory>
#include <sstream>
#include <utility>

#include "services/cli/admin_action.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"
#include "services/supervisor/supervisor.h"

namespace cloister::services {
namespace {

using nlohmann::json;

struct DoctorFlags {
  bool repair = false, offline = false, json = false;
  std::vector<std::string> services;
  std::string passphrase_file;
};

StatusOr<DoctorReport> FromReply(const json& reply) {
  const Status bad = Internal("the appliance's reply cannot be read");
  // An examination that took long says what became of it in its body.
  if (reply.is_object() && reply.contains("error")) {
    return Unavailable(reply["error"].is_object() ? reply["error"].value("message", "it failed")
                                                  : "it failed");
  }
  if (!reply.is_object() || !reply.contains("parts") || !reply["parts"].is_array() ||
      !reply.contains("findings") || !reply["findings"].is_array()) {
    return bad;
  }
  DoctorReport report;
  for (const json& part : reply["parts"]) {
    if (!part.is_object()) return bad;
    report.found.Checked(part.value("name", ""), part.value("checked", uint64_t{0}),
                         part.value("bytes", uint64_t{0}));
  }
  for (const json& finding : reply["findings"]) {
    if (!finding.is_object()) return bad;
    report.found.Add({finding.value("part", ""), finding.value("where", ""), finding.value("problem", ""),
                      finding.value("remedy", ""), finding.value("done", "")});
  }
  const auto total = reply.value("findings_total", uint64_t{0});
  report.beyond = total - std::min<uint64_t>(total, report.found.findings_total());
  return report;
}

// What a service that does not answer may mean.
Status NoAnswer(const CliContext& context, const std::string& service, const Status& status) {
  if (status.code() != StatusCode::kUnavailable) return Annotate(status, service);
  if (!RunningSupervisor(context.data_directory()).ok()) {
    return FailedPrecondition(
        "the appliance is stopped: run `cloister doctor --offline`, which opens its data itself");
  }
  return Unavailable(
      service + " does not answer: " + MessageOf(status) +
      ". If `cloister status` shows that it does not start, run `cloister down`, then `cloister doctor "
      "--offline`");
}

class Doctor {
 public:
  Doctor(CliContext& context, const DoctorFlags& flags) : context_(context), flags_(flags) {
    services_ = flags.services.empty() ? ExaminedServices() : flags.services;
  }

  Status Online() {
    if (flags_.services.empty()) CLOISTER_RETURN_IF_ERROR(Files(false));
    CLOISTER_ASSIGN_OR_RETURN(GatewayClient client, MakeClient(context_, CredentialFlags(), false));
    for (const std::string& service : services_) {
      const auto start = std::chrono::steady_clock::now();
      const auto reply =
          client.Call("POST", "/admin/v1/doctor/" + PathSegment(service), {{"repair", flags_.repair}});
      if (!reply.ok()) return NoAnswer(context_, service, reply.status());
      CLOISTER_ASSIGN_OR_RETURN(DoctorReport report, FromReply(*reply));
      report.name = service;
      report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      Take(std::move(report));
    }
    return absl::OkStatus();
  }

  Status Offline() {
    if (RunningSupervisor(context_.data_directory()).ok()) {
      return FailedPrecondition("the appliance runs; stop it by `cloister down`, or leave out --offline");
    }
    if (flags_.services.empty()) CLOISTER_RETURN_IF_ERROR(Files(true));
    return ExamineOffline(context_.data_directory(), flags_.passphrase_file, services_, flags_.repair,
                          [this](DoctorReport report) { Take(std::move(report)); });
  }

  int Conclude(const Status& status) {
    const bool healthy = status.ok() && std::all_of(reports_.begin(), reports_.end(), IsHealthy);
    if (flags_.json) {
      json services = json::array();
      for (const DoctorReport& report : reports_) services.push_back(ReportJson(report));
      context_.out() << json{{"healthy", healthy}, {"services", std::move(services)}}.dump() << std::endl;
    } else {
      for (const DoctorReport& report : reports_) PrintFindings(report, context_.out());
      if (status.ok())
        context_.out() << (healthy ? "\nHealthy.\n" : "\nNot healthy: see above.\n") << std::flush;
    }
    if (!status.ok()) return context_.Fail(status);
    return healthy ? kExitOk : kExitFailed;
  }

 private:
  Status Files(bool stopped) {
    const auto start = std::chrono::steady_clock::now();
    DoctorReport report;
    report.name = kFilesReport;
    CLOISTER_RETURN_IF_ERROR(ExamineFiles(context_.data_directory(), stopped, flags_.repair, report.found));
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    Take(std::move(report));
    return absl::OkStatus();
  }
  void Take(DoctorReport report) {
    if (!flags_.json) PrintLine(report, context_.out());
    reports_.push_back(std::move(report));
  }

  CliContext& context_;
  const DoctorFlags& flags_;
  std::vector<std::string> services_;
  std::vector<DoctorReport> reports_;
};

int RunDoctor(CliContext& context, const DoctorFlags& flags) {
  Doctor doctor(context, flags);
  return doctor.Conclude(flags.offline ? doctor.Offline() : doctor.Online());
}

}  // namespace

const std::vector<std::string>& ExaminedServices() {
  static const std::vector<std::string> services = {"keys", "audit", "retrieval", "ingest", "gateway"};
  return services;
}

bool IsHealthy(const DoctorReport& report) {
  const auto& findings = report.found.findings();
  return report.beyond == 0 && report.found.findings_total() == findings.size() &&
         std::all_of(findings.begin(), findings.end(), [](const storage::Finding& finding) {
           return !finding.done.empty() && finding.remedy.empty();
         });
}

void PrintLine(const DoctorReport& report, std::ostream& out) {
  std::string checked;
  for (const storage::ExaminedPart& part : report.found.parts()) {
    checked += (checked.empty() ? "" : ", ") + Printable(part.name) + " " + std::to_string(part.checked);
  }
  const uint64_t total = report.found.findings_total() + report.beyond;
  std::ostringstream seconds;
  seconds << std::fixed << std::setprecision(1) << report.seconds;
  out << std::left << std::setw(10) << report.name << " "
      << (total == 0 ? "ok" : std::to_string(total) + " found") << "  ("
      << (checked.empty() ? "nothing stored" : checked) << "; " << seconds.str() << " s)" << std::endl;
}

void PrintFindings(const DoctorReport& report, std::ostream& out) {
  const size_t width = TerminalWidth();
  for (const storage::Finding& finding : report.found.findings()) {
    out << "\n"
        << report.name << ", " << Printable(finding.part) << ": " << Printable(finding.where) << "\n"
        << Wrap(Printable(finding.problem), width, "  ");
    if (!finding.done.empty()) out << Wrap("Done: " + Printable(finding.done), width, "  ");
    if (!finding.remedy.empty()) out << Wrap("To do: " + Printable(finding.remedy), width, "  ");
  }
  const uint64_t unlisted = report.found.findings_total() - report.found.findings().size() + report.beyond;
  if (unlisted > 0) out << "\n" << report.name << ": " << unlisted << " more\n";
}

json ReportJson(const DoctorReport& report) {
  json parts = json::array(), findings = json::array();
  for (const storage::ExaminedPart& part : report.found.parts()) {
    parts.push_back({{"name", part.name}, {"checked", part.checked}, {"bytes", part.bytes}});
  }
  for (const storage::Finding& finding : report.found.findings()) {
    findings.push_back({{"part", finding.part},
                        {"where", finding.where},
                        {"problem", finding.problem},
                        {"remedy", finding.remedy},
                        {"done", finding.done}});
  }
  return {{"service", report.name},
          {"healthy", IsHealthy(report)},
          {"parts", std::move(parts)},
          {"findings", std::move(findings)},
          {"findings_total", report.found.findings_total() + report.beyond},
          {"seconds", report.seconds}};
}

void AddDoctorCommand(CLI::App& app, CliContext& context) {
  auto flags = std::make_shared<DoctorFlags>();
  CLI::App* command =
      app.add_subcommand("doctor", "Read everything that is stored, explain damage, mend what can be mended");
  command->add_flag("--repair", flags->repair,
                    "set damaged documents aside, and make anew what is derived from others");
  command->add_option("--service", flags->services, "this one alone; repeat for more")
      ->check(CLI::IsMember(ExaminedServices()))
      ->allow_extra_args(false);
  command->add_flag("--offline", flags->offline,
                    "open the data of a stopped appliance; alters no document, log or key");
  command->add_option(
      "--passphrase-file", flags->passphrase_file,
      "with --offline: file with the passphrase or PIN, readable by you alone; without it you are asked");
  command->add_flag("--json", flags->json, "print JSON");
  command->footer("Exit status: 0 healthy, 1 damage that something is left to do about, 3 wrong passphrase.");
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunDoctor(context, *flags); }; });
}

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// The parts of `cloister doctor`: what is examined without a running appliance, and how what was found is
// shown. Knows no flags. Blocks on the disk.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "common/status.h"
#include "storage/examination.h"

namespace cloister::services {

// What one service, or "files", was found to be.
struct DoctorReport {
  std::string name;
  storage::Examination found;
  double seconds = 0;
  uint64_t beyond = 0;  // Findings that the service counted and did not list.
};

// Who stores something that can be examined, in the order in which they are.
const std::vector<std::string>& ExaminedServices();
inline constexpr const char* kFilesReport = "files";

// Whether something is left to be done about what was found.
bool IsHealthy(const DoctorReport& report);
// One line: what was checked and how long it took.
void PrintLine(const DoctorReport& report, std::ostream& out);
// Each finding: where, what, what was done and what to do.
void PrintFindings(const DoctorReport& report, std::ostream& out);
nlohmann::json ReportJson(const DoctorReport& report);

// Modes and owners of everything in `data`, and the space on its disk. With `stopped`, also what a crash or
// an interrupted restore left over: while services run that may be theirs. With `repair`, modes are set,
// left-overs removed and a restore that had all its files in place is finished. Errors: kUnavailable.
Status ExamineFiles(const std::filesystem::path& data, bool stopped, bool repair, storage::Examination& out);

// Opens the keyring of a stopped appliance, and with it every database and the log; calls `done` after each
// of `services` (doctor_offline.cc). With `repair`, what is derived is removed so that the next start makes
// it anew; truth is never altered. Errors: those of OpenOfflineKeyring: a keyring that does not open ends it.
Status ExamineOffline(const std::filesystem::path& data, const std::string& passphrase_file,
                      const std::vector<std::string>& services, bool repair,
                      const std::function<void(DoctorReport)>& done);

}  // namespace cloister::services

// SPDX-License-Identifier: Apache-2.0
// For tests: enters the sandbox where system call filters are not to be had, and must be refused.
#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ingest/sandbox.h"

int main() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  const bool ready = filter != nullptr &&
                     seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) == 0 &&
                     seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1,
                                      SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)) == 0 &&
                     seccomp_load(filter) == 0;
  if (!ready) _exit(1);
  const auto report = cloister::ingest::EnterSandbox({});
  _exit(report.ok() ? 0 : cloister::ingest::kExitSandbox);
}

// SPDX-License-Identifier: Apache-2.0
#include "keyring/memory_counter.h"

#include "keyring/rollback_counter_contract.h"

namespace cloister::keyring {
namespace {

class MemoryHarness final : public RollbackCounterHarness {
 public:
  std::unique_ptr<RollbackCounter> Open() override { return std::make_unique<MemoryCounter>(device_); }

 private:
  std::shared_ptr<MemoryCounterDevice> device_ = std::make_shared<MemoryCounterDevice>();
};

INSTANTIATE_TEST_SUITE_P(Memory, RollbackCounterContract, testing::Values([]() -> std::unique_ptr<RollbackCounterHarness> {
                           return std::make_unique<MemoryHarness>();
                         }));

}  // namespace
}  // namespace cloister::keyring

// SPDX-License-Identifier: Apache-2.0
// The contract of epoch anchors over the two that need no device: the passphrase, and the folder that stands for a device
// in other tests.
#include <filesystem>

#include "keyring/epoch_anchor_contract.h"
#include "keyring/folder_anchor.h"
#include "keyring/passphrase_anchor.h"
#include "storage/temporary_directory.h"

namespace cloister::keyring {
namespace {

constexpr crypto::Argon2Cost kCheap{.memory_kib = 64, .passes = 1, .lanes = 1};
constexpr size_t kCostBytes = 12;  // At the beginning of a passphrase's blob.

class PassphraseHarness final : public EpochAnchorHarness {
 public:
  std::unique_ptr<EpochAnchor> Fresh() override { return NewPassphraseAnchor("correct horse battery", kCheap); }
  std::unique_ptr<EpochAnchor> WithWrongSecret() override {
    return NewPassphraseAnchor("another passphrase", kCheap);
  }
  // A larger cost that is within its bounds only takes time; keyring_test doctors those bytes.
  std::vector<size_t> BytesToAlter(const std::string& blob) override {
    std::vector<size_t> bytes;
    for (size_t i = kCostBytes; i < blob.size(); ++i) bytes.push_back(i);
    return bytes;
  }
};

class FolderHarness final : public EpochAnchorHarness {
 public:
  std::unique_ptr<EpochAnchor> Fresh() override { return std::make_unique<FolderAnchor>(folder_.path(), "2718"); }
  std::unique_ptr<EpochAnchor> WithWrongSecret() override {
    return std::make_unique<FolderAnchor>(folder_.path(), "3141");
  }

 private:
  const storage::TemporaryDirectory folder_;
};

INSTANTIATE_TEST_SUITE_P(Passphrase, EpochAnchorContract,
                         testing::Values([](std::string&) -> std::unique_ptr<EpochAnchorHarness> {
                           return std::make_unique<PassphraseHarness>();
                         }));
INSTANTIATE_TEST_SUITE_P(Folder, EpochAnchorContract,
                         testing::Values([](std::string&) -> std::unique_ptr<EpochAnchorHarness> {
                           return std::make_unique<FolderHarness>();
                         }));

}  // namespace
}  // namespace cloister::keyring

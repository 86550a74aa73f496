// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/tpm_anchor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include <cstdlib>
#include <cstring>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "keyring/epoch_anchor_contract.h"
#include "keyring/hardware/device_fixture.h"
#include "keyring/hardware/tpm_device.h"

namespace cloister::keyring {
namespace {

constexpr const char* kContext = "keyring 7f, epoch 1";
constexpr std::string_view kPin = "2718 2818";

class TpmHarness : public EpochAnchorHarness {
 public:
  explicit TpmHarness(std::string_view pin) : pin_(pin) {}
  std::unique_ptr<EpochAnchor> Fresh() override { return Make(pin_); }
  std::unique_ptr<EpochAnchor> WithWrongSecret() override {
    return pin_.empty() ? nullptr : Make("another PIN");
  }
  std::unique_ptr<EpochAnchor> Make(std::string_view pin) {
    TpmOptions options;
    options.tcti = tpm.tcti();
    return std::make_unique<TpmAnchor>(options, crypto::Secret(pin));
  }

  SoftwareTpm tpm;

 private:
  std::string pin_;
};

std::unique_ptr<EpochAnchorHarness> MakeHarness(std::string_view pin, std::string& missing) {
  missing = MissingProgram("swtpm", "swtpm");
  return missing.empty() ? std::make_unique<TpmHarness>(pin) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(Tpm, EpochAnchorContract,
                         testing::Values([](std::string& missing) { return MakeHarness("", missing); }));
INSTANTIATE_TEST_SUITE_P(TpmWithPin, EpochAnchorContract,
                         testing::Values([](std::string& missing) { return MakeHarness(kPin, missing); }));

// A conversation of the test's own, as an attacker with root on the machine could hold it.
class RawTpm {
 public:
  explicit RawTpm(const std::string& tcti) {
    ::setenv("TSS2_LOG", "all+none", 0);
    CLOISTER_CHECK(Tss2_TctiLdr_Initialize(tcti.c_str(), &tcti_) == TSS2_RC_SUCCESS);
    CLOISTER_CHECK(Esys_Initialize(&esys, tcti_, nullptr) == TSS2_RC_SUCCESS);
  }
  ~RawTpm() {
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&tcti_);
  }
  ESYS_TR Index(uint32_t index) {
    ESYS_TR out = ESYS_TR_NONE;
    CLOISTER_CHECK(Esys_TR_FromTPMPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &out) ==
                   TSS2_RC_SUCCESS);
    return out;
  }
  void Extend(int pcr, char filler) {
    TPML_DIGEST_VALUES values{};
    values.count = 1;
    values.digests[0].hashAlg = TPM2_ALG_SHA256;
    std::memset(values.digests[0].digest.sha256, filler, 32);
    CLOISTER_CHECK(Esys_PCR_Extend(esys, ESYS_TR_PCR0 + static_cast<ESYS_TR>(pcr), ESYS_TR_PASSWORD,
                                   ESYS_TR_NONE, ESYS_TR_NONE, &values) == TSS2_RC_SUCCESS);
  }
  // A transient key that nobody flushes; false when there is no room.
  bool Leak() {
    const TPM2B_SENSITIVE_CREATE sensitive{};
    TPM2B_PUBLIC area{};
    area.publicArea.type = TPM2_ALG_ECC;
    area.publicArea.nameAlg = TPM2_ALG_SHA256;
    area.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                       TPMA_OBJECT_SIGN_ENCRYPT;
    area.publicArea.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    area.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
    area.publicArea.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    area.publicArea.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION pcrs{};
    ESYS_TR made = ESYS_TR_NONE;
    return Esys_CreatePrimary(esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                              &area, &outside, &pcrs, &made, nullptr, nullptr, nullptr,
                              nullptr) == TSS2_RC_SUCCESS;
  }

  ESYS_CONTEXT* esys = nullptr;

 private:
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
};

uint32_t IndexIn(const EpochLocation& location) {
  return static_cast<uint32_t>(std::stoul(location.name.substr(3), nullptr, 16));
}

class TpmAnchorTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = MissingProgram("swtpm", "swtpm");
    if (!missing.empty()) GTEST_SKIP() << missing;
    harness_ = std::make_unique<TpmHarness>(kPin);
    anchor_ = harness_->Fresh();
  }
  SoftwareTpm& tpm() { return harness_->tpm; }
  NewEpoch Make(EpochAnchor& anchor) {
    auto made = anchor.Create(*anchor.NewName(), kContext);
    CLOISTER_CHECK(made.ok());
    return *std::move(made);
  }
  Status Open(EpochAnchor& anchor, const NewEpoch& made) {
    const auto key = anchor.Open(made.location, kContext);
    if (key.ok()) {
      EXPECT_EQ(key->view(), made.key.view());
    }
    return key.status();
  }

  std::unique_ptr<TpmHarness> harness_;
  std::unique_ptr<EpochAnchor> anchor_;
};

TEST_F(TpmAnchorTest, OutlivesAKilledTpm) {
  const NewEpoch made = Make(*anchor_);
  tpm().Kill();
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnavailable);
  tpm().Start();
  EXPECT_TRUE(Open(*anchor_, made).ok()) << "the same anchor, without a restart of this process";
}

TEST_F(TpmAnchorTest, RefusesAfterAnotherBootChain) {
  const auto without_pin = harness_->Make("");
  const NewEpoch made = Make(*anchor_), other = Make(*without_pin);
  RawTpm(tpm().tcti()).Extend(8, 'x');
  EXPECT_TRUE(Open(*anchor_, made).ok()) << "PCR 8 is not bound";
  RawTpm(tpm().tcti()).Extend(7, 'x');
  for (const Status& status : {Open(*anchor_, made), Open(*without_pin, other)}) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(MessageOf(status), testing::HasSubstr("cloister keys recover"));
  }
  tpm().Kill();
  tpm().Start();  // The earlier boot chain again.
  EXPECT_TRUE(Open(*anchor_, made).ok());
  EXPECT_TRUE(Open(*without_pin, other).ok());
  RawTpm(tpm().tcti()).Extend(7, 'x');
  const Status gone = anchor_->Destroy(made.location.name);
  EXPECT_TRUE(gone.ok()) << "erasing needs no particular boot chain: " << gone;
}

TEST_F(TpmAnchorTest, BindsThePcrsItWasAskedToBind) {
  TpmOptions options;
  options.tcti = tpm().tcti();
  options.pcrs = {0, 4, 8, 23};
  TpmAnchor several(options, crypto::Secret(kPin));
  const NewEpoch made = Make(several);
  EXPECT_TRUE(Open(*anchor_, made).ok()) << "which PCRs, the keyring says, not today's configuration";
  RawTpm(tpm().tcti()).Extend(7, 'x');
  EXPECT_TRUE(Open(several, made).ok());
  RawTpm(tpm().tcti()).Extend(23, 'x');
  EXPECT_EQ(Open(several, made).code(), StatusCode::kFailedPrecondition);
}

TEST_F(TpmAnchorTest, LocksAfterTooManyWrongPins) {
  const NewEpoch made = Make(*anchor_);
  const auto stranger = harness_->WithWrongSecret();
  Status status = Open(*stranger, made);
  EXPECT_EQ(status.code(), StatusCode::kUnauthenticated);
  for (int attempt = 0; attempt < 64 && status.code() == StatusCode::kUnauthenticated; ++attempt) {
    status = Open(*stranger, made);
  }
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(MessageOf(status), "the TPM is locked after too many wrong PINs; wait or clear the lockout");
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnavailable) << "the right PIN waits, too";
  const auto without_pin = harness_->Make("");
  EXPECT_TRUE(Open(*without_pin, Make(*without_pin)).ok()) << "nothing to guess, nothing to lock";
}

TEST_F(TpmAnchorTest, AskedWithoutThePinItTriesNothing) {
  const NewEpoch made = Make(*anchor_);
  const auto without = harness_->Make("");
  for (int attempt = 0; attempt < 10; ++attempt) {
    EXPECT_EQ(Open(*without, made).code(), StatusCode::kUnauthenticated);
  }
  EXPECT_TRUE(Open(*anchor_, made).ok()) << "not locked";
}

TEST_F(TpmAnchorTest, AnotherTpmDoesNotHoldTheKey) {
  const NewEpoch made = Make(*anchor_);
  TpmHarness elsewhere(kPin);
  EXPECT_EQ(Open(*elsewhere.Fresh(), made).code(), StatusCode::kNotFound);
}

TEST_F(TpmAnchorTest, NoticesAnotherPrimaryKey) {
  NewEpoch made = Make(*anchor_);
  made.location.blob[10] = static_cast<char>(made.location.blob[10] ^ 1);  // In the remembered name.
  const Status status = Open(*anchor_, made);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(MessageOf(status), testing::HasSubstr("another primary key"));
}

TEST_F(TpmAnchorTest, WithoutATpmEverythingIsUnavailable) {
  const NewEpoch made = Make(*anchor_);
  tpm().Kill();
  EXPECT_EQ(anchor_->NewName().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(anchor_->Create(made.location.name, kContext).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnavailable);
  EXPECT_EQ(anchor_->Destroy(made.location.name).code(), StatusCode::kUnavailable);
  EXPECT_EQ(anchor_->Describe(), "TPM 2.0 (not reachable), after the boot chain of PCR 7, with a PIN");
}

TEST_F(TpmAnchorTest, DescribesTheTpmAndWhatItAsksFor) {
  EXPECT_THAT(
      anchor_->Describe(),
      testing::MatchesRegex("TPM 2.0 \\(IBM, firmware [0-9]+\\.[0-9]+\\), after the boot chain of PCR 7, "
                            "with a PIN"));
}

TEST_F(TpmAnchorTest, AFullRangeIsSaid) {
  TpmOptions options;
  options.tcti = tpm().tcti();
  options.nv_count = 1;
  TpmAnchor one(options, crypto::Secret(kPin));
  const NewEpoch made = Make(one);
  EXPECT_EQ(one.NewName().status().code(), StatusCode::kResourceExhausted);
  ASSERT_TRUE(one.Destroy(made.location.name).ok());
  EXPECT_TRUE(one.NewName().ok());
}

TEST_F(TpmAnchorTest, RefusesOptionsThatProtectNothing) {
  TpmOptions options;
  options.tcti = tpm().tcti();
  const std::string name = *anchor_->NewName();
  for (const std::vector<int>& pcrs : {std::vector<int>{24}, {-1}, {0, 1, 2, 3, 4, 5, 6, 7, 8}, {}}) {
    options.pcrs = pcrs;
    EXPECT_EQ(TpmAnchor(options).Create(name, kContext).status().code(), StatusCode::kInvalidArgument);
  }
  TpmAnchor pin_alone(options, crypto::Secret(kPin));
  EXPECT_TRUE(Open(pin_alone, Make(pin_alone)).ok());
}

TEST_F(TpmAnchorTest, RefusesNamesThatAreNotItsOwn) {
  const NewEpoch made = Make(*anchor_);
  for (const char* name :
       {"", "nv:", "nv:01c1c10", "nv:01C1C100", "nv:81000001", "nv:40000001", "p11:00", "nv:01810000 "}) {
    EXPECT_EQ(anchor_->Create(name, kContext).status().code(), StatusCode::kDataLoss) << name;
    EXPECT_EQ(anchor_->Open({name, made.location.blob}, kContext).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(anchor_->Destroy(name).code(), StatusCode::kDataLoss) << name;
  }
}

TEST_F(TpmAnchorTest, AnInterruptedCreateHoldsNoKeyAndCanBeDestroyed) {
  const NewEpoch made = Make(*anchor_);
  ASSERT_TRUE(anchor_->Destroy(made.location.name).ok());
  {
    const auto device = TpmDevice::Connect(tpm().tcti(), {});
    ASSERT_TRUE(device.ok()) << device.status();
    const auto defined =
        (*device)->Define(IndexIn(made.location), {1 << 7, true}, crypto::Secret(std::string(32, 'a')), 32);
    ASSERT_TRUE(defined.ok()) << defined;
  }
  EXPECT_NE(Open(*anchor_, made).code(), StatusCode::kOk);
  EXPECT_TRUE(anchor_->Destroy(made.location.name).ok());
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kNotFound);
  {
    const auto device = TpmDevice::Connect(tpm().tcti(), {});
    ASSERT_TRUE((*device)->Define(IndexIn(made.location), {1 << 7, false}, {}, 32).ok());
    const auto read = (*device)->Read(IndexIn(made.location), {1 << 7, false}, {}, 32);
    EXPECT_EQ(read.status().code(), StatusCode::kNotFound) << "defined, never written: " << read.status();
  }
}

TEST_F(TpmAnchorTest, NeitherOwnerNorIndexPasswordReadsOrWrites) {
  const auto without_pin = harness_->Make("");
  const NewEpoch made = Make(*without_pin);
  {
    RawTpm raw(tpm().tcti());
    const ESYS_TR index = raw.Index(IndexIn(made.location));
    for (const ESYS_TR authority : {index, ESYS_TR{ESYS_TR_RH_OWNER}}) {
      TPM2B_MAX_NV_BUFFER* data = nullptr;
      EXPECT_NE(Esys_NV_Read(raw.esys, authority, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 32, 0,
                             &data),
                TSS2_RC_SUCCESS);
      TPM2B_MAX_NV_BUFFER other{};
      other.size = 32;
      EXPECT_NE(
          Esys_NV_Write(raw.esys, authority, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &other, 0),
          TSS2_RC_SUCCESS);
    }
  }
  const auto device = TpmDevice::Connect(tpm().tcti(), {});
  ASSERT_TRUE(device.ok());
  const Status again =
      (*device)->Write(IndexIn(made.location), {1 << 7, false}, {}, crypto::Secret(size_t{32}));
  EXPECT_FALSE(again.ok()) << "written once, then locked, even for who meets the policy";
}

// SPEC: docs/formats/hardware-anchors.md
TEST_F(TpmAnchorTest, IsWhatTheFormatSays) {
  const NewEpoch made = Make(*anchor_);
  const std::string_view blob = made.location.blob, name = made.location.name;
  ASSERT_EQ(blob.size(), 72u);
  EXPECT_EQ(HexEncode(blob.substr(0, 6)), "010100000080");
  std::string auth(crypto::HkdfSha256(kPin, name, "cloister/v1/keyring/tpm-pin", 32).view());
  auth.back() = static_cast<char>(auth.back() | 1);
  const auto device = TpmDevice::Connect(tpm().tcti(), {});
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_EQ(*(*device)->PrimaryName(), blob.substr(6, 34));
  const auto secret = (*device)->Read(IndexIn(made.location), {1 << 7, true}, crypto::Secret(auth), 32);
  ASSERT_TRUE(secret.ok()) << secret.status();
  EXPECT_EQ(crypto::HkdfSha512(secret->view(), kContext, "cloister/v1/keyring/tpm", 32).view(),
            made.key.view());
  const auto check_key = crypto::HkdfSha512(secret->view(), kContext, "cloister/v1/keyring/tpm-check", 32);
  EXPECT_EQ(crypto::HmacSha256(check_key.view(), std::string(name) + std::string(blob.substr(0, 40))),
            blob.substr(40));
}

TEST_F(TpmAnchorTest, NoSecretCrossesTheBusInClear) {
  const std::string data = "0123456789abcdef0123456789abcdef", auth = "ABCDEFGHIJKLMNOPABCDEFGHIJKLMNOP";
  const TpmPolicy policy{1 << 7, true};
  {
    const auto device = TpmDevice::Connect(tpm().tcti(), {});
    ASSERT_TRUE(device.ok()) << device.status();
    ASSERT_TRUE((*device)->Define(0x01810001, policy, crypto::Secret(auth), data.size()).ok());
    ASSERT_TRUE((*device)->Write(0x01810001, policy, crypto::Secret(auth), crypto::Secret(data)).ok());
    const auto read = (*device)->Read(0x01810001, policy, crypto::Secret(auth), data.size());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->view(), data);
  }
  RawTpm(tpm().tcti()).Extend(9, 'z');
  const auto as_logged = [](std::string_view bytes) {
    std::string out;
    for (const char byte : bytes) {
      std::string hex = HexEncode({&byte, 1});
      for (char& digit : hex) digit = static_cast<char>(std::toupper(digit));
      out += hex + " ";
    }
    return out;
  };
  const std::string traffic = tpm().Traffic();
  ASSERT_NE(traffic.find(as_logged(std::string(16, 'z'))), std::string::npos) << "what is in clear is found";
  for (size_t at = 0; at + 8 <= data.size(); ++at) {
    EXPECT_EQ(traffic.find(as_logged(data.substr(at, 8))), std::string::npos);
    EXPECT_EQ(traffic.find(as_logged(auth.substr(at, 8))), std::string::npos);
  }
}

TEST_F(TpmAnchorTest, MakesRoomWhenADeadProcessLeftItsObjects) {
  const NewEpoch made = Make(*anchor_);
  {
    RawTpm raw(tpm().tcti());
    int leaked = 0;
    while (leaked < 100 && raw.Leak()) ++leaked;
    ASSERT_GT(leaked, 0);
    ASSERT_LT(leaked, 100) << "the TPM is full";
  }
  const Status status = Open(*anchor_, made);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(TpmAnchorTest, LeavesNothingBehindInTheTpm) {
  for (int round = 0; round < 6; ++round) {  // A TPM has room for three objects and some sessions.
    const NewEpoch made = Make(*anchor_);
    EXPECT_TRUE(Open(*anchor_, made).ok());
    EXPECT_TRUE(anchor_->Destroy(made.location.name).ok());
  }
  RawTpm raw(tpm().tcti());
  for (const UINT32 first : {TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST, UINT32{0x01810000}}) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    TPMI_YES_NO more = 0;
    ASSERT_EQ(Esys_GetCapability(raw.esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, first,
                                 8, &more, &data),
              TSS2_RC_SUCCESS);
    EXPECT_EQ(data->data.handles.count, 0u) << first;
    Esys_Free(data);
  }
}

TEST_F(TpmAnchorTest, UsesTheOwnerPassword) {
  {
    RawTpm raw(tpm().tcti());
    TPM2B_AUTH owner{.size = 5, .buffer = {'o', 'w', 'n', 'e', 'r'}};
    ASSERT_EQ(Esys_HierarchyChangeAuth(raw.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       ESYS_TR_NONE, &owner),
              TSS2_RC_SUCCESS);
  }
  TpmOptions options;
  options.tcti = tpm().tcti();
  TpmAnchor knows(options, crypto::Secret(kPin), crypto::Secret(std::string_view("owner")));
  const NewEpoch made = Make(knows);
  EXPECT_TRUE(Open(knows, made).ok());
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(anchor_->Destroy(made.location.name).code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(knows.Destroy(made.location.name).ok());
}

}  // namespace
}  // namespace cloister::keyring

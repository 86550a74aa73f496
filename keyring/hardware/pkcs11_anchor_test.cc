// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/pkcs11_anchor.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <cstdlib>

#include "keyring/epoch_anchor_contract.h"
#include "keyring/hardware/device_fixture.h"
#include "keyring/hardware/pkcs11_fault_module.h"

namespace cloister::keyring {
namespace {

constexpr const char* kContext = "keyring 7f, epoch 1";

std::string Missing() {
  if (SoftwareToken::Module().empty()) return "no SoftHSM: install the package softhsm2";
  return MissingProgram("softhsm2-util", "softhsm2");
}

// The module in front of SoftHSM, held so that its faults outlast the anchor's loading and unloading.
class FaultModule {
 public:
  FaultModule() : library_(::dlopen(CLOISTER_PKCS11_FAULT_MODULE, RTLD_NOW | RTLD_LOCAL)) {
    CLOISTER_CHECK(library_ != nullptr);
    ::setenv("CLOISTER_TEST_PKCS11_BEHIND", SoftwareToken::Module().c_str(), 1);
    *faults() = {};
  }
  ~FaultModule() {
    *faults() = {};
    ::dlclose(library_);
  }
  Pkcs11Faults* faults() const {
    return reinterpret_cast<Pkcs11FaultsFunction>(::dlsym(library_, kPkcs11FaultsSymbol))();
  }

 private:
  void* library_;
};

class TokenHarness : public EpochAnchorHarness {
 public:
  explicit TokenHarness(std::string module) : module_(std::move(module)) {}
  std::unique_ptr<EpochAnchor> Fresh() override { return Make(SoftwareToken::kPin); }
  std::unique_ptr<EpochAnchor> WithWrongSecret() override { return Make("314159"); }
  std::unique_ptr<EpochAnchor> Make(std::string_view pin, const std::string& label = SoftwareToken::kLabel) {
    return std::make_unique<Pkcs11Anchor>(Pkcs11Options{module_, label}, crypto::Secret(pin));
  }

  SoftwareToken token;

 private:
  std::string module_;
};

// A token that wraps keys but does not encrypt with GCM.
class KeyWrapHarness : public TokenHarness {
 public:
  KeyWrapHarness() : TokenHarness(CLOISTER_PKCS11_FAULT_MODULE) { fault_module_.faults()->no_gcm = true; }

 private:
  FaultModule fault_module_;
};

INSTANTIATE_TEST_SUITE_P(Pkcs11Gcm, EpochAnchorContract,
                         testing::Values([](std::string& missing) -> std::unique_ptr<EpochAnchorHarness> {
                           missing = Missing();
                           if (!missing.empty()) return nullptr;
                           return std::make_unique<TokenHarness>(SoftwareToken::Module());
                         }));
INSTANTIATE_TEST_SUITE_P(Pkcs11KeyWrap, EpochAnchorContract,
                         testing::Values([](std::string& missing) -> std::unique_ptr<EpochAnchorHarness> {
                           missing = Missing();
                           if (!missing.empty()) return nullptr;
                           return std::make_unique<KeyWrapHarness>();
                         }));

class Pkcs11AnchorTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = Missing();
    if (!missing.empty()) GTEST_SKIP() << missing;
    fault_module_ = std::make_unique<FaultModule>();
    harness_ = std::make_unique<TokenHarness>(CLOISTER_PKCS11_FAULT_MODULE);
    anchor_ = harness_->Fresh();
  }
  Pkcs11Faults& faults() { return *fault_module_->faults(); }
  NewEpoch Make() {
    auto made = anchor_->Create(*anchor_->NewName(), kContext);
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

  std::unique_ptr<FaultModule> fault_module_;
  std::unique_ptr<TokenHarness> harness_;
  std::unique_ptr<EpochAnchor> anchor_;
};

TEST_F(Pkcs11AnchorTest, SaysInTheBlobHowTheTokenWrapped) {
  EXPECT_EQ(Make().location.blob[1], 1);
  faults().no_gcm = true;
  const NewEpoch wrapped = Make();
  EXPECT_EQ(wrapped.location.blob[1], 2);
  faults().no_gcm = false;
  EXPECT_TRUE(Open(*anchor_, wrapped).ok()) << "by the blob, not by what the token offers today";
}

TEST_F(Pkcs11AnchorTest, ATokenThatCanWrapNothingIsRefused) {
  faults().no_gcm = faults().no_key_wrap = true;
  EXPECT_EQ(anchor_->Create(*anchor_->NewName(), kContext).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(Pkcs11AnchorTest, ATokenThatGivesOutItsKeysIsRefused) {
  faults().gives_out_keys = true;
  const std::string name = *anchor_->NewName();
  EXPECT_EQ(anchor_->Create(name, kContext).status().code(), StatusCode::kFailedPrecondition);
  faults().gives_out_keys = false;
  EXPECT_TRUE(anchor_->Create(name, kContext).ok()) << "and the key was removed";
}

TEST_F(Pkcs11AnchorTest, ATokenPulledInMidSessionIsUsedAgainWhenItIsBack) {
  const NewEpoch made = Make();
  for (const unsigned long rv : {CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID}) {
    faults().decrypt = CKR_DEVICE_REMOVED;
    EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnavailable);
    faults().decrypt = 0;
    faults().login = faults().generate = faults().destroy = rv;
    EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnavailable);
    faults().login = 0;
    EXPECT_EQ(anchor_->Create(*anchor_->NewName(), kContext).status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(anchor_->Destroy(made.location.name).code(), StatusCode::kUnavailable);
    faults().generate = faults().destroy = 0;
    EXPECT_TRUE(Open(*anchor_, made).ok());
  }
}

TEST_F(Pkcs11AnchorTest, AFaultOfTheTokenIsNotTakenForDamage) {
  const NewEpoch made = Make();
  for (const unsigned long rv :
       {CKR_DEVICE_ERROR, CKR_HOST_MEMORY, CKR_SESSION_CLOSED, CKR_OPERATION_ACTIVE}) {
    faults().decrypt = rv;
    EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnavailable) << rv;
  }
  faults().decrypt = CKR_ENCRYPTED_DATA_INVALID;
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kDataLoss);
}

TEST_F(Pkcs11AnchorTest, AnAbsentTokenIsNamed) {
  const NewEpoch made = Make();
  harness_->token.Pull();
  const Status status = Open(*anchor_, made);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(MessageOf(status), "the token 'cloister test' is not there; connect it");
  EXPECT_EQ(anchor_->Create(made.location.name, kContext).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(anchor_->Destroy(made.location.name).code(), StatusCode::kUnavailable);
  EXPECT_EQ(anchor_->Describe(), "HSM by PKCS#11 (not reachable, token 'cloister test')");
  harness_->token.PutBack();
  EXPECT_TRUE(Open(*anchor_, made).ok());
  EXPECT_EQ(Open(*harness_->Make(SoftwareToken::kPin, "another token"), made).code(),
            StatusCode::kUnavailable);
}

TEST_F(Pkcs11AnchorTest, AnotherTokenOfTheSameLabelDoesNotHoldTheKey) {
  const NewEpoch made = Make();
  harness_.reset();
  harness_ = std::make_unique<TokenHarness>(CLOISTER_PKCS11_FAULT_MODULE);
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kNotFound);
}

TEST_F(Pkcs11AnchorTest, AMissingOrBrokenModuleIsUnavailable) {
  const NewEpoch made = Make();
  for (const char* module : {"/nowhere/module.so", "/etc/hostname"}) {
    Pkcs11Anchor other({module, SoftwareToken::kLabel},
                       crypto::Secret(std::string_view(SoftwareToken::kPin)));
    EXPECT_EQ(Open(other, made).code(), StatusCode::kUnavailable);
    EXPECT_EQ(other.Destroy(made.location.name).code(), StatusCode::kUnavailable);
  }
  ::setenv("SOFTHSM2_CONF", "/nowhere/softhsm2.conf", 1);
  EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnavailable);
}

TEST_F(Pkcs11AnchorTest, PinsThatAreWrongLockedOrMissing) {
  const NewEpoch made = Make();
  for (const char* pin : {"314159", "1", ""}) {
    const auto stranger = harness_->Make(pin);
    EXPECT_EQ(Open(*stranger, made).code(), StatusCode::kUnauthenticated) << pin;
    EXPECT_EQ(stranger->Create(*anchor_->NewName(), kContext).status().code(), StatusCode::kUnauthenticated);
    EXPECT_EQ(stranger->Destroy(made.location.name).code(), StatusCode::kUnauthenticated);
  }
  for (const unsigned long rv :
       {CKR_PIN_INVALID, CKR_PIN_LEN_RANGE}) {  // What other tokens say of a wrong one.
    faults().login = rv;
    EXPECT_EQ(Open(*anchor_, made).code(), StatusCode::kUnauthenticated);
  }
  faults().login = CKR_PIN_LOCKED;
  const Status locked = Open(*anchor_, made);
  EXPECT_EQ(locked.code(), StatusCode::kUnavailable);
  EXPECT_THAT(MessageOf(locked), testing::HasSubstr("security officer"));
  faults().login = 0;
  EXPECT_TRUE(Open(*anchor_, made).ok());
}

TEST_F(Pkcs11AnchorTest, AsksWhetherADestroyedKeyIsGone) {
  const NewEpoch made = Make();
  faults().keeps_what_it_destroys = true;
  EXPECT_EQ(anchor_->Destroy(made.location.name).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(Open(*anchor_, made).ok());
  faults().keeps_what_it_destroys = false;
  EXPECT_TRUE(anchor_->Destroy(made.location.name).ok());
}

TEST_F(Pkcs11AnchorTest, AFullTokenIsSaid) {
  faults().generate = CKR_DEVICE_MEMORY;
  EXPECT_EQ(anchor_->Create(*anchor_->NewName(), kContext).status().code(), StatusCode::kResourceExhausted);
  faults().generate = CKR_TOKEN_WRITE_PROTECTED;
  EXPECT_EQ(anchor_->Create(*anchor_->NewName(), kContext).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(Pkcs11AnchorTest, RefusesNamesThatAreNotItsOwn) {
  const NewEpoch made = Make();
  for (const char* name : {"", "p11:", "p11:00", "nv:01810000", "p11:00112233445566778899AABBCCDDEEFF"}) {
    EXPECT_EQ(anchor_->Create(name, kContext).status().code(), StatusCode::kDataLoss) << name;
    EXPECT_EQ(anchor_->Open({name, made.location.blob}, kContext).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(anchor_->Destroy(name).code(), StatusCode::kDataLoss) << name;
  }
}

TEST_F(Pkcs11AnchorTest, DescribesTheToken) {
  EXPECT_EQ(anchor_->Describe(), "HSM by PKCS#11 (SoftHSM project SoftHSM v2, token 'cloister test')");
}

}  // namespace
}  // namespace cloister::keyring

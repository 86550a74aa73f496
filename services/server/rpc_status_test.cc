// SPDX-License-Identifier: Apache-2.0
#include "services/server/rpc_status.h"

#include <gtest/gtest.h>

#include "google/rpc/status.pb.h"

namespace cloister::services {
namespace {

TEST(RpcStatusTest, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 1; code <= 16; ++code) {
    const Status original = Error(static_cast<StatusCode>(code), "what to do");
    const Status back = FromGrpc(ToGrpc(original));
    EXPECT_EQ(back.code(), original.code());
    EXPECT_EQ(MessageOf(back), "what to do");
    EXPECT_EQ(CodeName(back.code()), CodeName(original.code()));
  }
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(RpcStatusTest, DetailSurvivesTheRoundTrip) {
  const grpc::Status wire =
      ToGrpc(InvalidArgument("too long"), "QUESTION_TOO_LONG", "question", 2048, "Ask a shorter question.");
  const RpcErrorDetail detail = DetailOf(wire);
  EXPECT_EQ(detail.reason, "QUESTION_TOO_LONG");
  EXPECT_EQ(detail.field, "question");
  EXPECT_EQ(detail.limit, 2048u);
  EXPECT_EQ(detail.remedy, "Ask a shorter question.");
  EXPECT_EQ(FromGrpc(wire).code(), StatusCode::kInvalidArgument);
}

TEST(RpcStatusTest, DetailIsAGoogleRpcStatusThatOthersCanRead) {
  const grpc::Status wire = ToGrpc(DataLoss("record"), "RECORD_DAMAGED");
  google::rpc::Status full;
  ASSERT_TRUE(full.ParseFromString(wire.error_details()));
  EXPECT_EQ(full.code(), 15);
  EXPECT_EQ(full.message(), "record");
  ASSERT_EQ(full.details_size(), 1);
  EXPECT_EQ(full.details(0).type_url(), "type.googleapis.com/cloister.v1.ErrorDetail");
}

TEST(RpcStatusTest, MissingOrMalformedDetailIsEmpty) {
  EXPECT_EQ(DetailOf(grpc::Status::OK).reason, "");
  EXPECT_EQ(DetailOf(ToGrpc(NotFound("x"))).reason, "");
  EXPECT_EQ(DetailOf(grpc::Status(grpc::StatusCode::INTERNAL, "x", "\xff\xff")).reason, "");
}

}  // namespace
}  // namespace cloister::services

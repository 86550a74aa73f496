// SPDX-License-Identifier: Apache-2.0
#include "common/bytes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace cloister {
namespace {

std::string AllBytes() {
  std::string out;
  for (int i = 0; i < 256; ++i) out.push_back(static_cast<char>(i));
  return out;
}

TEST(HexTest, RoundTripsEveryByte) {
  EXPECT_EQ(HexEncode(std::string("\x00\x0f\xf0\xff", 4)), "000ff0ff");
  EXPECT_EQ(*HexDecode(HexEncode(AllBytes())), AllBytes());
  EXPECT_EQ(HexEncode(""), "");
  EXPECT_EQ(*HexDecode(""), "");
}

TEST(HexTest, RefusesEverySecondSpelling) {
  for (const char* bad : {"0", "000", "0A", "Ff", "0x", " 00", "00 ", "0g", "-1", "00\n0"}) {
    EXPECT_EQ(HexDecode(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
  // Of all two-character strings, exactly 256 are a byte.
  int good = 0;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      const auto decoded = HexDecode(text);
      if (!decoded.ok()) continue;
      ++good;
      EXPECT_EQ(HexEncode(*decoded), text);
    }
  }
  EXPECT_EQ(good, 256);
}

// SPEC: RFC 4648 section 10.
TEST(Base64Test, GivesTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(Base64Encode(plain), encoded);
    EXPECT_EQ(*Base64Decode(encoded), plain);
  }
}

TEST(Base64Test, RoundTripsEveryByteAtEveryOffset) {
  for (size_t skip = 0; skip < 4; ++skip) {
    const std::string bytes = AllBytes().substr(skip);
    EXPECT_EQ(*Base64Decode(Base64Encode(bytes)), bytes);
  }
}

TEST(Base64Test, RefusesWrongLengthsAlphabetsAndPadding) {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "=Zg=", "====", "Z===", "Zg==Zg==", "Zm=v", "Zm9v\n",
                          "Zm9 ", "Zm9-", "Zm9_", "Zg =", "Zm9vZg"}) {
    EXPECT_EQ(Base64Decode(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(Base64Test, RefusesNonZeroTrailingBits) {
  // "Zg==" is "f"; the three other digits that begin with the same bits would be, too.
  for (const char* bad : {"Zh==", "Zi==", "Zv==", "Zm9=", "Zm+=", "Zm/="}) {
    EXPECT_EQ(Base64Decode(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(Base64Test, EveryAcceptedTextIsTheEncodingOfItsValue) {
  const std::string alphabet = "AZaz09+/=-_ Bg";
  int accepted = 0;
  for (char a : alphabet) {
    for (char b : alphabet) {
      for (char c : alphabet) {
        for (char d : alphabet) {
          const std::string text = {a, b, c, d};
          const auto decoded = Base64Decode(text);
          if (!decoded.ok()) continue;
          ++accepted;
          EXPECT_EQ(Base64Encode(*decoded), text);
        }
      }
    }
  }
  EXPECT_GT(accepted, 1000);
}

TEST(IsUtf8Test, TakesWellFormedText) {
  for (const char* good :
       {"", "plain", "\x7f", "ü", "€", "語", "😀", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  EXPECT_TRUE(IsUtf8(std::string_view("\0", 1)));
}

TEST(IsUtf8Test, RefusesSurrogatesOverlongFormsAndWhatIsOutOfRange) {
  for (const char* bad : {"\x80",
                          "\xbf",
                          "\xc0\x80",
                          "\xc1\xbf",
                          "\xc3",
                          "\xc3(",
                          "\xe0\x80\x80",
                          "\xe0\x9f\xbf",
                          "\xe2\x82",
                          "\xed\xa0\x80",
                          "\xed\xbf\xbf",
                          "\xf0\x80\x80\x80",
                          "\xf0\x8f\xbf\xbf",
                          "\xf0\x9f\x98",
                          "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80",
                          "\xf8\x88\x80\x80\x80",
                          "\xfe",
                          "\xff",
                          "a\xff"}) {
    EXPECT_FALSE(IsUtf8(bad)) << HexEncode(bad);
  }
}

TEST(ByteReaderTest, ReadsWhatTheWriterWrote) {
  ByteWriter out;
  out.U8(0x12);
  out.U16(0x3456);
  out.U32(0x789abcde);
  out.U64(0xf0123456789abcde);
  out.F32(-1.5f);
  out.String("text");
  out.String("");
  out.Raw("raw");
  EXPECT_EQ(HexEncode(out.bytes()), "123456789abcdef0123456789abcdebfc00000000000047465787400000000726177");
  const std::string bytes = out.Take();
  ByteReader in(bytes);
  EXPECT_EQ(in.U8(), 0x12);
  EXPECT_EQ(in.U16(), 0x3456);
  EXPECT_EQ(in.U32(), 0x789abcdeu);
  EXPECT_EQ(in.U64(), 0xf0123456789abcdeu);
  EXPECT_EQ(in.F32(), -1.5f);
  EXPECT_EQ(in.String(), "text");
  EXPECT_EQ(in.String(), "");
  EXPECT_EQ(in.remaining(), 3u);
  EXPECT_EQ(in.Raw(3), "raw");
  EXPECT_TRUE(in.Finish("a value").ok());
}

TEST(ByteReaderTest, KeepsEveryBitOfFloats) {
  for (const float value : {0.0f, -0.0f, std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()}) {
    ByteWriter out;
    out.F32(value);
    ByteReader in(out.bytes());
    const float read = in.F32();
    EXPECT_EQ(read, value);
    EXPECT_EQ(std::signbit(read), std::signbit(value));
  }
}

TEST(ByteReaderTest, AReadPastTheEndFailsAndGivesNothing) {
  ByteReader in("abc");
  EXPECT_EQ(in.U32(), 0u);
  EXPECT_TRUE(in.failed());
  // And stays so: three bytes are left, but nothing can be believed any more.
  EXPECT_EQ(in.U8(), 0);
  EXPECT_EQ(in.Raw(1), "");
  EXPECT_EQ(in.String(), "");
  EXPECT_EQ(in.Count(1), 0u);
  EXPECT_EQ(in.Finish("a value").code(), StatusCode::kDataLoss);
}

TEST(ByteReaderTest, HostileLengthsNeverReadPastTheEnd) {
  // The bytes end where an address sanitizer sees it.
  for (const uint32_t length : {4u, 5u, 0x7fffffffu, 0x80000000u, 0xfffffffcu, 0xffffffffu}) {
    ByteWriter out;
    out.U32(length);
    out.Raw("abc");
    const std::string bytes(out.bytes());
    ByteReader in(bytes);
    EXPECT_EQ(in.String(), "") << length;
    EXPECT_TRUE(in.failed());
  }
  ByteReader in("abc");
  EXPECT_EQ(in.Raw(SIZE_MAX), "");
  EXPECT_TRUE(in.failed());
}

TEST(ByteReaderTest, HostileCountsAreRefusedBeforeAnythingIsReserved) {
  const auto count_of = [](uint32_t count, size_t element_bytes, size_t rest) {
    ByteWriter out;
    out.U32(count);
    out.Raw(std::string(rest, 'x'));
    const std::string bytes(out.bytes());
    ByteReader in(bytes);
    const uint32_t read = in.Count(element_bytes);
    EXPECT_EQ(in.failed(), read != count);
    return read;
  };
  EXPECT_EQ(count_of(3, 4, 12), 3u);
  EXPECT_EQ(count_of(3, 4, 11), 0u);
  EXPECT_EQ(count_of(0, 4, 0), 0u);
  EXPECT_EQ(count_of(0xffffffff, 1, 100), 0u);
  EXPECT_EQ(count_of(0xffffffff, SIZE_MAX, 100), 0u);
  EXPECT_EQ(count_of(0x40000001, 4, 100), 0u);  // The product wraps around in 32 bits.
}

TEST(ByteReaderTest, EveryTruncationFails) {
  ByteWriter out;
  out.U16(1);
  out.String("text");
  out.U64(2);
  const std::string whole = out.Take();
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string part = whole.substr(0, length);
    ByteReader in(part);
    in.U16();
    in.String();
    in.U64();
    EXPECT_EQ(in.Finish("a value").code(), StatusCode::kDataLoss) << length;
  }
}

TEST(ByteReaderTest, BytesLeftOverAreDataLossThatNamesTheFormat) {
  ByteReader in("ab");
  in.U8();
  const Status status = in.Finish("the index");
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(MessageOf(status), "the index has bytes after its end");
}

}  // namespace
}  // namespace cloister

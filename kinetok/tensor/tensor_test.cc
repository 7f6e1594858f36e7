#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kinetok/base/error.h"
#include "kinetok/tensor/buffer.h"
#include "kinetok/tensor/dtype.h"
#include "kinetok/tensor/views.h"

namespace kinetok {
namespace {

TEST(DTypeTest, NamesAreReadInAnyCaseAndUnknownOnesAreErrors) {
  for (const DType t : {DType::kF32, DType::kF16, DType::kBF16}) EXPECT_EQ(ParseDType(DTypeName(t)), t);
  EXPECT_EQ(ParseDType("BFloat16"), DType::kBF16);
  EXPECT_EQ(ParseDType("FLOAT32"), DType::kF32);
  EXPECT_EQ(DTypeSize(DType::kF16), 2);
  try {
    ParseDType("f8");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("f8"));
  }
}

TEST(DTypeTest, EveryHalfSurvivesTheWayToF32AndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const float f = F16ToF32(h), b = BF16ToF32(h);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(F16ToF32(F32ToF16(f))));
    } else {
      EXPECT_EQ(F32ToF16(f), h);
      // The definition: sign, significand / 1024 and exponent.
      const int exponent = (h >> 10) & 31, significand = h & 1023;
      const float want = exponent == 31  ? std::numeric_limits<float>::infinity()
                         : exponent == 0 ? std::ldexp(static_cast<float>(significand), -24)
                                         : std::ldexp(static_cast<float>(1024 + significand), exponent - 25);
      EXPECT_EQ(f, (h & 0x8000) != 0 ? -want : want);
    }
    if (std::isnan(b)) {
      EXPECT_TRUE(std::isnan(BF16ToF32(F32ToBF16(b))));
    } else {
      EXPECT_EQ(F32ToBF16(b), h);
    }
  }
}

// A value between two neighbouring halves rounds to the nearer, and from the middle to the even one.
TEST(DTypeTest, F32RoundsToTheNearestEven) {
  for (uint32_t h = 0; h < 0x7bff; ++h) {
    const float low = F16ToF32(static_cast<uint16_t>(h)), high = F16ToF32(static_cast<uint16_t>(h + 1));
    const float middle = low + (high - low) / 2;
    EXPECT_EQ(F32ToF16(middle), (h & 1) == 0 ? h : h + 1);
    EXPECT_EQ(F32ToF16(std::nextafter(middle, 0.0f)), h);
    EXPECT_EQ(F32ToF16(std::nextafter(middle, 1e9f)), h + 1);
    EXPECT_EQ(F32ToF16(-middle), 0x8000u | ((h & 1) == 0 ? h : h + 1));
  }
  EXPECT_EQ(F32ToF16(65519.9f), 0x7bff);
  EXPECT_EQ(F32ToF16(65520.0f), 0x7c00);
  EXPECT_EQ(F32ToBF16(1.00390625f), 0x3f80);  // a tie, to even
  EXPECT_EQ(F32ToBF16(1.01171875f), 0x3f82);  // a tie, to even
  EXPECT_EQ(F32ToBF16(3.4e38f), 0x7f80);      // above the largest bf16
}

TEST(DTypeTest, ElementsAreReadAndWrittenAtAnyAlignment) {
  char memory[64];
  for (const DType t : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (int i = 0; i < 8; ++i) StoreElement(t, memory + 1, i, static_cast<float>(i) - 2.5f);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(LoadElement(t, memory + 1, i), static_cast<float>(i) - 2.5f);
  }
}

TEST(BufferTest, MemoryIsZeroedAlignedAndMovable) {
  for (const int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{5000}, int64_t{5} << 20}) {
    Buffer a(bytes);
    EXPECT_EQ(a.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0u);
    for (const std::byte b : a.As<std::byte>()) ASSERT_EQ(b, std::byte{0});
    EXPECT_EQ(a.As<float>().size(), static_cast<size_t>(bytes) / 4);
    std::byte* const data = a.data();
    Buffer b(std::move(a));
    EXPECT_EQ(b.data(), data);
    EXPECT_EQ(a.data(), nullptr);  // NOLINT(bugprone-use-after-move)
    Buffer c(100);
    c = std::move(b);
    EXPECT_EQ(c.data(), data);
    if (bytes > 0) std::memset(c.data(), 1, bytes);
  }
}

TEST(BufferTest, MemoryThatCannotBeHadIsAnError) {
  EXPECT_THROW(Buffer(int64_t{1} << 60), Error);
  EXPECT_THROW(Buffer(-1), std::logic_error);
}

TEST(RowsTest, SlicesAndColumnsKeepTheStride) {
  float data[24];
  for (int i = 0; i < 24; ++i) data[i] = static_cast<float>(i);
  const Rows<float> all(data, 4, 6);
  const Rows<const float> part = all.Slice(1, 2).Columns(2, 3);
  EXPECT_EQ(part.rows, 2);
  EXPECT_EQ(part.width, 3);
  EXPECT_EQ(part[0][0], 8.0f);
  EXPECT_EQ(part[1][2], 16.0f);
  EXPECT_FALSE(part.empty());
  EXPECT_TRUE(Rows<float>().empty());
}

}  // namespace
}  // namespace kinetok

#include "kinetok/train/weights_fingerprint.h"

#include <gtest/gtest.h>

#include <vector>

#include "kinetok/io/safetensors.h"
#include "kinetok/train/train_test_files.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

// Two tensors, "a" of three values and "b" of `size`.
fs::path Write(const TemporaryFolder& folder, const std::string& name, int64_t size, int64_t changed = -1) {
  std::vector<float> a = {1, 2, 3}, b(static_cast<size_t>(size), 0.5F);
  if (changed >= 0) b[static_cast<size_t>(changed)] = 0.25F;
  fs::create_directories(folder / name);
  SafetensorsWriter writer(folder / (name + "/model.safetensors"),
                           {{"a", DType::kF32, {3}}, {"b", DType::kF32, {size}}});
  writer.Write("a", a);
  writer.Write("b", b);
  writer.Commit();
  return folder / name;
}

TEST(WeightsFingerprintTest, OneValueOfASmallModelMakesAnother) {
  const TemporaryFolder folder;
  const std::string first = WeightsFingerprint(Write(folder, "first", 50000));
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(WeightsFingerprint(Write(folder, "copy", 50000)), first);
  EXPECT_EQ(WeightsFingerprint(folder / "first/model.safetensors"), first);
  for (const int64_t changed : {0, 12345, 49999}) {
    EXPECT_NE(WeightsFingerprint(Write(folder, "other", 50000, changed)), first) << changed;
  }
  EXPECT_NE(WeightsFingerprint(Write(folder, "longer", 50001)), first);
}

TEST(WeightsFingerprintTest, OfALargeTensorTheBeginningTheMiddleAndTheEndCount) {
  const TemporaryFolder folder;
  constexpr int64_t kSize = 50000, kWhole = 100000;  // bytes of which all are read
  const std::string first = WeightsFingerprint(Write(folder, "large", kSize), kWhole);
  for (const int64_t changed : {int64_t{0}, kSize / 2, kSize - 1}) {
    EXPECT_NE(WeightsFingerprint(Write(folder, "large", kSize, changed), kWhole), first) << changed;
  }
  EXPECT_EQ(WeightsFingerprint(Write(folder, "large", kSize, kSize / 4), kWhole), first);  // the price of not reading
}

TEST(WeightsFingerprintTest, AFolderWithoutAModelIsAnError) {
  const TemporaryFolder folder;
  EXPECT_NE(ErrorOf([&] { WeightsFingerprint(folder / "nowhere"); }), "");
}

}  // namespace
}  // namespace kinetok

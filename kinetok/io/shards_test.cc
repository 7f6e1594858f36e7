#include "kinetok/io/shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/json.h"
#include "kinetok/io/atomic_directory.h"
#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Plan(std::vector<int64_t> sizes, int64_t most) {
  std::vector<TensorSpec> specs;
  for (const int64_t size : sizes) {
    specs.push_back({std::string(1, static_cast<char>('a' + specs.size())), DType::kF16, {size}});
  }
  std::vector<std::string> out;
  for (const Shard& shard : PlanShards(specs, most)) {
    std::string names;
    for (const TensorSpec& t : shard.tensors) names += t.name;
    out.push_back(shard.file + " " + names);
  }
  return out;
}

TEST(ShardsTest, AreFilledInOrderAndNamedAsTransformersDoes) {
  EXPECT_THAT(Plan({10, 10, 10}, 60), ElementsAre("model.safetensors abc"));
  EXPECT_THAT(Plan({10, 10, 10}, 59),
              ElementsAre("model-00001-of-00002.safetensors ab", "model-00002-of-00002.safetensors c"));
  EXPECT_THAT(Plan({10, 10, 10}, 1),
              ElementsAre("model-00001-of-00003.safetensors a", "model-00002-of-00003.safetensors b",
                          "model-00003-of-00003.safetensors c"));
  // One that is too large by itself has its own file; the one being filled goes on.
  EXPECT_THAT(Plan({10, 50, 10}, 40),
              ElementsAre("model-00001-of-00002.safetensors b", "model-00002-of-00002.safetensors ac"));
}

TEST(ShardsTest, TheIndexNamesEveryTensorsFile) {
  const std::string text = ShardIndex(PlanShards({{"b", DType::kF32, {2, 2}}, {"a", DType::kBF16, {3}}}, 16), 7);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(Json::parse(text).dump(),
            R"({"metadata":{"total_parameters":7,"total_size":22},"weight_map":{)"
            R"("a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors"}})");
}

using AtomicDirectoryTest = TemporaryFolder;

TEST_F(AtomicDirectoryTest, TakesItsNameWholeInPlaceOfWhatWasThere) {
  const auto target = folder() / "model";
  for (const char* text : {"first", "second"}) {
    AtomicDirectory directory(target);
    WriteFileAtomically(directory.path() / text, text);
    EXPECT_EQ(std::filesystem::exists(target / text), false);
    directory.Commit();
    EXPECT_EQ(ReadFile(target / text), text);
  }
  EXPECT_FALSE(std::filesystem::exists(target / "first"));
  EXPECT_THAT(Listing(), ElementsAre("model"));
}

TEST_F(AtomicDirectoryTest, WithoutACommitNothingHasHappened) {
  const auto target = folder() / "model";
  std::filesystem::create_directories(target);
  WriteFileAtomically(target / "kept", "kept");
  {
    AtomicDirectory directory(target);
    WriteFileAtomically(directory.path() / "new", "new");
  }
  EXPECT_THAT(Listing(), ElementsAre("model"));
  EXPECT_EQ(ReadFile(target / "kept"), "kept");
  WriteFileAtomically(folder() / "file", "");
  EXPECT_THAT(ErrorOf([&] { AtomicDirectory(folder() / "file" / "below"); }), HasSubstr("cannot be made"));
}

}  // namespace
}  // namespace kinetok

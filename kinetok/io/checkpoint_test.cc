#include "kinetok/io/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/io/io_test_files.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CheckpointTest : public TemporaryFolder {
 protected:
  // A file whose tensors hold one value each: the number of their place in `names`.
  void WriteFile(const std::string& file, const std::vector<std::string>& names) {
    std::vector<TensorSpec> specs;
    for (const std::string& name : names) specs.push_back({name, DType::kF32, {1}});
    SafetensorsWriter writer(folder() / file, specs);
    for (size_t i = 0; i < names.size(); ++i) writer.Write(names[i], std::vector<float>{static_cast<float>(i)});
    writer.Commit();
  }
  void WriteIndex(const std::string& text) { WriteFileAtomically(folder() / "model.safetensors.index.json", text); }
  std::string OpenError() {
    return ErrorOf([&] { Checkpoint checkpoint(folder()); });
  }
  static std::vector<std::string> Names(const Checkpoint& checkpoint) {
    std::vector<std::string> names;
    for (const TensorData& t : checkpoint.tensors()) names.push_back(t.info->name);
    return names;
  }
  static float Value(const Checkpoint& checkpoint, std::string_view name) {
    float value = -1;
    checkpoint.Find(name)->LoadF32(0, std::span(&value, 1));
    return value;
  }
};

TEST_F(CheckpointTest, OneFileIsReadAsADirectoryOrByItsPath) {
  WriteFile("model.safetensors", {"b", "a"});
  for (const fs::path& path : {folder(), folder() / "model.safetensors"}) {
    const Checkpoint checkpoint(path);
    EXPECT_THAT(Names(checkpoint), ElementsAre("b", "a"));
    EXPECT_EQ(checkpoint.bytes(), 8);
    EXPECT_EQ(Value(checkpoint, "a"), 1);
    EXPECT_EQ(checkpoint.Find("c"), nullptr);
  }
}

TEST_F(CheckpointTest, ShardsAreOneCheckpointInTheOrderOfTheirNames) {
  WriteFile("model-00002-of-00002.safetensors", {"y", "a"});
  WriteFile("model-00001-of-00002.safetensors", {"z"});
  WriteIndex(R"({"metadata":{"total_size":12},"weight_map":{"a":"model-00002-of-00002.safetensors",)"
             R"("y":"model-00002-of-00002.safetensors","z":"model-00001-of-00002.safetensors"}})");
  const Checkpoint checkpoint(folder());
  EXPECT_THAT(Names(checkpoint), ElementsAre("z", "y", "a"));
  EXPECT_EQ(Value(checkpoint, "a"), 1);
  EXPECT_EQ(checkpoint.bytes(), 12);
  const Checkpoint moved = Checkpoint(folder());
  EXPECT_EQ(Value(moved, "a"), 1);
}

TEST_F(CheckpointTest, LinkedFilesOutsideTheDirectoryAreRead) {
  fs::create_directory(folder() / "blobs");
  fs::create_directory(folder() / "snapshot");
  WriteFile("blobs/x", {"a"});
  fs::create_symlink("../blobs/x", folder() / "snapshot" / "model.safetensors");
  EXPECT_THAT(Names(Checkpoint(folder() / "snapshot")), ElementsAre("a"));
}

TEST_F(CheckpointTest, MalformedIndicesAreRefused) {
  WriteFile("s1.safetensors", {"a"});
  WriteFile("s2.safetensors", {"b"});
  const std::pair<const char*, const char*> cases[] = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[]", "expected a JSON object"},
      {"{}", "required field \"weight_map\" is missing"},
      {R"({"weight_map":null})", "\"weight_map\" is null"},
      {R"({"weight_map":["a"]})", "weight_map"},
      {R"({"weight_map":{}})", "weight_map is empty"},
      {R"({"weight_map":{"a":1}})", "weight_map gives 1 for tensor \"a\", expected a file name"},
      {R"({"weight_map":{"a":"absent.safetensors"}})", "names the file absent.safetensors, which is missing"},
      {R"({"weight_map":{"a":"s1.safetensors","c":"s1.safetensors"}})",
       "says that tensor \"c\" is in s1.safetensors, which has none of this name"},
      {R"({"weight_map":{"a":"s2.safetensors"}})", "s2.safetensors: tensor \"b\" is not listed for this file"},
      {R"({"weight_map":{"a":"../s1.safetensors"}})", "expected one inside the directory"},
      {R"({"weight_map":{"a":"x/../../s1.safetensors"}})", "expected one inside the directory"},
      {R"({"weight_map":{"a":"/etc/passwd"}})", "\"/etc/passwd\", expected one inside the directory"},
      {R"({"weight_map":{"a":"s1.safetensors\u0000.txt"}})", "expected one inside the directory"},
      {R"({"weight_map":{"a":""}})", "expected one inside the directory"},
      {R"({"weight_map":{"a":"."}})", "a folder"},
  };
  for (const auto& [text, error] : cases) {
    SCOPED_TRACE(text);
    WriteIndex(text);
    EXPECT_THAT(OpenError(), HasSubstr(error));
  }
}

TEST_F(CheckpointTest, ATensorInTwoShardsIsRefused) {
  WriteFile("s1.safetensors", {"a", "b"});
  WriteFile("s2.safetensors", {"b"});
  WriteIndex(R"({"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}})");
  EXPECT_THAT(OpenError(), HasSubstr("s1.safetensors: tensor \"b\" is not listed for this file"));
}

TEST_F(CheckpointTest, AMalformedShardIsNamed) {
  WriteFileAtomically(folder() / "s1.safetensors", "");
  WriteIndex(R"({"weight_map":{"a":"s1.safetensors"}})");
  EXPECT_THAT(OpenError(), HasSubstr("s1.safetensors: the file is empty"));
}

TEST_F(CheckpointTest, WithoutWeightsTheErrorSaysWhatToDo) {
  EXPECT_THAT(OpenError(), AllOf(HasSubstr(folder().string()), HasSubstr("holds neither model.safetensors nor")));
  for (const char* other : {"consolidated.00.pth", "pytorch_model.bin.index.json", "pytorch_model.bin"}) {
    WriteFileAtomically(folder() / other, "x");
    EXPECT_THAT(OpenError(), AllOf(HasSubstr(std::string("holds ") + other), HasSubstr("save_pretrained")));
  }
  WriteFileAtomically(folder() / "sub.gguf", "GGUF");
  fs::remove(folder() / "consolidated.00.pth");
  fs::remove(folder() / "pytorch_model.bin");
  fs::remove(folder() / "pytorch_model.bin.index.json");
  EXPECT_THAT(OpenError(), HasSubstr("but sub.gguf: name that file instead"));
  EXPECT_THAT(ErrorOf([&] { Checkpoint checkpoint(folder() / "absent"); }),
              AllOf(HasSubstr("absent"), HasSubstr("no such file or directory")));
}

TEST_F(CheckpointTest, AGgufFileIsOneToo) {
  {
    GgufWriter writer(folder() / "m.gguf", {{"a", DType::kF32, {1}}}, {{"n", uint32_t{3}}});
    writer.Write("a", std::vector<float>{2.5f});
    writer.Commit();
  }
  fs::copy_file(folder() / "m.gguf", folder() / "without_extension");
  for (const char* name : {"m.gguf", "without_extension"}) {
    const Checkpoint checkpoint(folder() / name);
    EXPECT_EQ(Value(checkpoint, "a"), 2.5f);
    ASSERT_NE(checkpoint.gguf(), nullptr);
    EXPECT_EQ(checkpoint.gguf()->metadata().Int("n", 0, 9), 3);
  }
  WriteFileAtomically(folder() / "text.gguf", "hello");
  EXPECT_THAT(ErrorOf([&] { Checkpoint checkpoint(folder() / "text.gguf"); }),
              HasSubstr("does not begin with \"GGUF\""));
}

TEST_F(CheckpointTest, WhatCannotBeReadIsNamed) {
  fs::create_directory(folder() / "model.safetensors");
  EXPECT_THAT(OpenError(), HasSubstr("model.safetensors: is a folder"));
  fs::remove(folder() / "model.safetensors");
  fs::create_symlink("nowhere", folder() / "model.safetensors");
  EXPECT_THAT(OpenError(), AllOf(HasSubstr("model.safetensors"), HasSubstr("No such file")));
}

}  // namespace
}  // namespace kinetok

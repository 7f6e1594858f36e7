#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kinetok/io/io_test_files.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using SafetensorsWriterTest = TemporaryFolder;

std::vector<float> Ramp(size_t n) {
  std::vector<float> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(i) * 0.37f - 3;
  return out;
}

TEST_F(SafetensorsWriterTest, WhatItWritesIsReadBackInAnyPieces) {
  const auto path = folder() / "w.safetensors";
  const std::vector<float> wte = Ramp(200000), bias = Ramp(3);
  SafetensorsWriter writer(path, {{"half", DType::kF16, {3}},
                                  {"wte", DType::kF32, {400, 500}},
                                  {"none", DType::kBF16, {0, 8}},
                                  {"brain", DType::kBF16, {400, 500}},
                                  {"scalar", DType::kF32, {}}});
  writer.Write("wte", std::span(wte).first(1));
  writer.Write("wte", std::as_bytes(std::span(wte).subspan(1)));
  writer.Write("scalar", std::span(wte).first(1));
  writer.Write("half", bias);
  writer.Write("brain", std::span(wte).first(70000));
  writer.Write("brain", std::span(wte).subspan(70000));
  writer.Commit();

  const SafetensorsFile file(path);
  EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(path)), writer.file_bytes());
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  std::vector<std::string> names;
  for (const TensorInfo& t : file.tensors()) {
    names.push_back(t.name);
    EXPECT_EQ(t.offset % DTypeSize(*t.type), 0) << t.name;
  }
  EXPECT_THAT(names, ElementsAre("wte", "scalar", "half", "none", "brain"));
  EXPECT_EQ(file.tensors()[0].offset % 8, 0);
  EXPECT_EQ(file.Find("none")->shape, (std::vector<int64_t>{0, 8}));

  std::vector<float> out(200000);
  TensorData{file.Find("wte"), &file}.LoadF32(0, out);
  EXPECT_EQ(out, wte);
  TensorData{file.Find("brain"), &file}.LoadF32(0, out);
  for (size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], BF16ToF32(F32ToBF16(wte[i]))) << i;
  TensorData{file.Find("half"), &file}.LoadF32(0, std::span(out).first(3));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(out[i], F16ToF32(F32ToF16(bias[i])));
}

TEST_F(SafetensorsWriterTest, NamesNeedingEscapesSurvive) {
  const std::string name = "가 \"x\"\\\n";
  SafetensorsWriter writer(folder() / "w.safetensors", {{name, DType::kF32, {0}}}, {});
  writer.Commit();
  EXPECT_NE(SafetensorsFile(folder() / "w.safetensors").Find(name), nullptr);
}

TEST_F(SafetensorsWriterTest, TheSameTensorsGiveTheSameBytes) {
  std::string files[2];
  for (std::string& bytes : files) {
    SafetensorsWriter writer(folder() / "w.safetensors", {{"b", DType::kF16, {2}}, {"a", DType::kF16, {1}}});
    writer.Write("b", Ramp(2));
    writer.Write("a", Ramp(1));
    writer.Commit();
    bytes = ReadFile(folder() / "w.safetensors");
  }
  EXPECT_EQ(files[0], files[1]);
  EXPECT_THAT(files[0],
              HasSubstr(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},)"
                        R"("a":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}})"));
}

TEST_F(SafetensorsWriterTest, WrongDeclarationsAreRefused) {
  const auto path = folder() / "w.safetensors";
  const auto declare = [&](std::vector<TensorSpec> t) { return ErrorOf([&] { SafetensorsWriter writer(path, t); }); };
  EXPECT_THAT(declare({{"a", DType::kF32, {1}}, {"a", DType::kF32, {1}}}), HasSubstr("\"a\" is declared twice"));
  EXPECT_THAT(declare({{"__metadata__", DType::kF32, {1}}}), HasSubstr("declared twice"));
  EXPECT_THAT(declare({{"a", DType::kF32, {INT64_MAX, 2}}}), HasSubstr("too large"));
  EXPECT_THAT(declare({{"a", DType::kF32, {-1}}}), HasSubstr("too large"));
  EXPECT_THAT(Listing(), ElementsAre());
}

TEST_F(SafetensorsWriterTest, PiecesOutOfTurnAndMissingOnesAreOurMistakes) {
  SafetensorsWriter writer(folder() / "w.safetensors", {{"a", DType::kF32, {2}}, {"b", DType::kF32, {1}}});
  EXPECT_THROW(writer.Write("b", Ramp(1)), std::logic_error);
  EXPECT_THROW(writer.Write("a", Ramp(3)), std::logic_error);
  writer.Write("a", Ramp(2));
  EXPECT_THROW(writer.Commit(), std::logic_error);
  writer.Write("b", Ramp(1));
  EXPECT_THROW(writer.Write("a", Ramp(1)), std::logic_error);
  writer.Commit();
}

TEST_F(SafetensorsWriterTest, AnUnfinishedFileLeavesTheOldOneAndNothingElse) {
  const auto path = folder() / "w.safetensors";
  WriteFileAtomically(path, "old");
  {
    SafetensorsWriter writer(path, {{"a", DType::kF32, {2}}});
    writer.Write("a", Ramp(1));
  }
  EXPECT_EQ(ReadFile(path), "old");
  EXPECT_THAT(Listing(), ElementsAre("w.safetensors"));
}

TEST_F(SafetensorsWriterTest, AFullDiskIsAnErrorAndTheOldFileSurvives) {
  const auto path = folder() / "w.safetensors";
  const std::vector<float> values = Ramp(40000);
  const auto save = [&](float first) {
    SafetensorsWriter writer(path, {{"a", DType::kF32, {40001}}});
    writer.Write("a", std::span(&first, 1));
    writer.Write("a", values);
    writer.Commit();
  };
  save(1);
  const std::string old = ReadFile(path);
  {
    const FullDisk disk(100000);
    EXPECT_THAT(ErrorOf([&] { save(2); }), AllOf(HasSubstr("w.safetensors"), HasSubstr("cannot be written")));
  }
  EXPECT_EQ(ReadFile(path), old);
  EXPECT_THAT(Listing(), ElementsAre("w.safetensors"));
  save(2);
  EXPECT_NE(ReadFile(path), old);
}

TEST_F(SafetensorsWriterTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_THAT(ErrorOf([&] { SafetensorsWriter writer(folder() / "absent" / "w.safetensors", {}); }),
              AllOf(HasSubstr("absent/w.safetensors"), HasSubstr("cannot be created")));
}

}  // namespace
}  // namespace kinetok

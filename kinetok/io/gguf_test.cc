#include "kinetok/io/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "kinetok/io/gguf_cases.h"
#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using B = GgufBytes;

GgufHeader Parse(std::string_view bytes) {
  return ParseGgufHeader(std::as_bytes(std::span(bytes.data(), bytes.size())), bytes.size(), "w.gguf");
}

TEST(GgufHeaderTest, AcceptsValidFilesAndRefusesEveryMalformedOneByName) {
  int valid = 0, malformed = 0;
  for (const GgufCase& c : GgufCases()) {
    SCOPED_TRACE(c.name);
    if (c.error.empty()) {
      ++valid;
      EXPECT_EQ(ErrorOf([&] { Parse(c.bytes); }), "");
    } else {
      ++malformed;
      EXPECT_THAT(ErrorOf([&] { Parse(c.bytes); }),
                  AllOf(StartsWith("w.gguf: "), HasSubstr(c.error), Not(HasSubstr("\n"))));
    }
  }
  EXPECT_GE(valid, 12);
  EXPECT_GE(malformed, 65);
}

TEST(GgufHeaderTest, EveryCutOfAValidFileIsRefused) {
  for (const GgufCase& c : GgufCases()) {
    if (c.name != "types" && c.name != "strings") continue;
    for (size_t n = 0; n < c.bytes.size(); ++n) {
      EXPECT_NE(ErrorOf([&] { Parse(std::string_view(c.bytes).substr(0, n)); }), "") << c.name << " " << n;
    }
  }
}

TEST(GgufHeaderTest, GivesNamesTypesShapesAndPlacesInFileOrder) {
  const std::string bytes = B::File({B::Field("general.architecture", 8, B::Text("gpt2"))},
                                    {B::Tensor("late", {3, 2}, 30, 160), B::Tensor("q", {256}, 12, 0)}, 172);
  const GgufHeader header = Parse(bytes);
  EXPECT_EQ(header.version, 3u);
  EXPECT_EQ(header.data_offset, static_cast<int64_t>(bytes.size()) - 172);
  ASSERT_EQ(header.tensors.size(), 2u);
  const TensorInfo &q = header.tensors[0], &late = header.tensors[1];
  EXPECT_EQ(q.dtype, "Q4_K");
  EXPECT_FALSE(q.type.has_value());
  EXPECT_EQ(q.bytes, 144);
  EXPECT_EQ(late.name, "late");
  EXPECT_EQ(late.type, DType::kBF16);
  EXPECT_EQ(late.shape, (std::vector<int64_t>{2, 3}));  // the contiguous dimension comes first in the file, last here
  EXPECT_EQ(late.offset, header.data_offset + 160);
}

TEST(GgufMetadataTest, GivesEveryKindOfValue) {
  std::string texts = B::Text("ab") + B::Text("오늘");
  const std::string file = B::File(  // the metadata points into it
      {B::Field("u8", 0, "\xff"), B::Field("i8", 1, "\xff"), B::Field("i32", 5, B::U32(0xfffffffe)),
       B::Field("u64", 10, B::U64(~uint64_t{0})), B::Field("f32", 6, B::U32(0x3fc00000)),
       B::Field("f64", 12, B::U64(0x4004000000000000)), B::Field("yes", 7, "\x01"), B::Field("text", 8, B::Text("x")),
       B::Array("texts", 8, 2, texts), B::Array("ints", 3, 2, B::Number(0xffff, 2) + B::Number(7, 2)),
       B::Array("floats", 6, 1, B::U32(0x3fc00000)), B::Field("nan", 6, B::U32(0x7fc00000))},
      {}, 0);
  const GgufHeader header = Parse(file);
  const GgufMetadata& m = header.metadata;
  EXPECT_EQ(m.Int("u8", 0, 255), 255);
  EXPECT_EQ(m.Int("i8", -1, 255), -1);
  EXPECT_EQ(m.Int("i32", -5, 5), -2);
  EXPECT_EQ(m.Number("f32"), 1.5);
  EXPECT_EQ(m.Number("f64"), 2.5);
  EXPECT_TRUE(m.Bool("yes"));
  EXPECT_EQ(m.String("text"), "x");
  EXPECT_THAT(m.Strings("texts"), ElementsAre("ab", "오늘"));
  EXPECT_THAT(m.Ints("ints", -1, 10), ElementsAre(-1, 7));
  EXPECT_THAT(m.Floats("floats"), ElementsAre(1.5f));
  EXPECT_EQ(m.Int("absent", 0, 9, 4), 4);
  EXPECT_EQ(m.Number("absent", 0.5), 0.5);
  EXPECT_FALSE(m.Bool("absent", false));
  EXPECT_EQ(m.String("absent", "z"), "z");
  const auto error = [&](auto read) { return ErrorOf([&] { read(); }); };
  EXPECT_EQ(error([&] { m.Int("u8", 0, 9); }), "w.gguf: field \"u8\" is 255, expected a whole number from 0 to 9");
  EXPECT_THAT(error([&] { m.Int("u64", 0, 9); }), HasSubstr("is 18446744073709551615, expected a whole number"));
  EXPECT_THAT(error([&] { m.Int("f32", 0, 9); }), HasSubstr("is 1.5, expected a whole number"));
  EXPECT_THAT(error([&] { m.Int("ints", 0, 9); }), HasSubstr("is an array of 2 int16, expected a whole number"));
  EXPECT_THAT(error([&] { m.Int("absent", 0, 9); }), HasSubstr("required field \"absent\" is missing"));
  EXPECT_THAT(error([&] { m.Number("nan"); }), HasSubstr("expected a finite number"));
  EXPECT_THAT(error([&] { m.Bool("u8"); }), HasSubstr("is 255, expected a bool"));
  EXPECT_THAT(error([&] { m.String("texts"); }), HasSubstr("is an array of 2 string, expected a string"));
  EXPECT_THAT(error([&] { m.Strings("ints"); }), HasSubstr("expected an array of strings"));
  EXPECT_THAT(error([&] { m.Floats("ints"); }), HasSubstr("expected an array of float32"));
  EXPECT_THAT(error([&] { m.Ints("ints", 0, 10); }), HasSubstr("field \"ints\" holds -1, expected whole numbers"));
  const OrderedJson json = m.ToJson(1);
  EXPECT_EQ(json["texts"].dump(), R"({"type":"string","count":2})");
  EXPECT_EQ(json["floats"].dump(), "[1.5]");
  EXPECT_EQ(json.begin().key(), "u8");
}

using GgufFileTest = TemporaryFolder;

TEST_F(GgufFileTest, WhatIsWrittenIsReadBack) {
  const auto path = folder() / "w.gguf";
  std::vector<float> wide(1000);
  for (size_t i = 0; i < wide.size(); ++i) wide[i] = static_cast<float>(i) * 0.37f - 3;
  const std::vector<int32_t> ints = {-1, 5};
  GgufWriter writer(path,
                    {{"half", DType::kF16, {3}}, {"wide", DType::kF32, {10, 100}}, {"brain", DType::kBF16, {5, 1}}},
                    {{"general.architecture", std::string("gpt2")},
                     {"n", uint32_t{7}},
                     {"eps", 1e-5f},
                     {"yes", true},
                     {"words", std::vector<std::string>{"ab", ""}},
                     {"ids", ints},
                     {"scores", std::vector<float>{0.5f}}});
  writer.Write("half", std::span(wide).first(3));
  writer.Write("wide", std::span(wide).first(1));
  writer.Write("wide", std::as_bytes(std::span(wide).subspan(1)));
  writer.Write("brain", std::span(wide).first(5));
  EXPECT_FALSE(std::filesystem::exists(path));
  writer.Commit();
  EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(path)), writer.file_bytes());
  EXPECT_THAT(Listing(), ElementsAre("w.gguf"));

  const GgufFile file(path);
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.metadata().Int("n", 0, 9), 7);
  EXPECT_EQ(static_cast<float>(file.metadata().Number("eps")), 1e-5f);
  EXPECT_TRUE(file.metadata().Bool("yes"));
  EXPECT_THAT(file.metadata().Strings("words"), ElementsAre("ab", ""));
  EXPECT_THAT(file.metadata().Ints("ids", -1, 9), ElementsAre(-1, 5));
  EXPECT_THAT(file.metadata().Floats("scores"), ElementsAre(0.5f));
  std::vector<float> out(1000);
  for (const TensorInfo& t : file.tensors()) EXPECT_EQ(t.offset % 32, 0) << t.name;
  EXPECT_EQ(file.Find("wide")->shape, (std::vector<int64_t>{10, 100}));
  TensorData{file.Find("wide"), &file}.LoadF32(0, out);
  EXPECT_EQ(out, wide);
  TensorData{file.Find("brain"), &file}.LoadF32(4, std::span(out).first(1));
  EXPECT_EQ(out[0], BF16ToF32(F32ToBF16(wide[4])));
  EXPECT_TRUE(IsGguf(path));
}

TEST_F(GgufFileTest, AWriterThatDoesNotFinishLeavesNothing) {
  {
    GgufWriter writer(folder() / "w.gguf", {{"a", DType::kF32, {4}}}, {});
    writer.Write("a", std::vector<float>(3));
    EXPECT_THROW(writer.Commit(), std::logic_error);
  }
  EXPECT_THAT(Listing(), ElementsAre());
  EXPECT_THAT(ErrorOf([&] {
                GgufWriter(folder() / "w.gguf", {{"a", DType::kF32, {4}}, {"a", DType::kF32, {4}}}, {});
              }),
              HasSubstr("tensor \"a\" is declared twice"));
  const FullDisk full(4096);
  EXPECT_THAT(ErrorOf([&] {
                GgufWriter writer(folder() / "w.gguf", {{"a", DType::kF32, {4096}}}, {});
                writer.Write("a", std::vector<float>(4096));
              }),
              HasSubstr("w.gguf: cannot be written"));
}

TEST_F(GgufFileTest, FilesAreToldByHowTheyBegin) {
  WriteFileAtomically(folder() / "a", GgufCases()[0].bytes);
  WriteFileAtomically(folder() / "b.gguf", "GGU");
  EXPECT_TRUE(IsGguf(folder() / "a"));
  EXPECT_FALSE(IsGguf(folder() / "b.gguf"));
  EXPECT_FALSE(IsGguf(folder() / "absent"));
  EXPECT_FALSE(IsGguf(folder()));
  EXPECT_THAT(ErrorOf([&] { GgufFile(folder() / "b.gguf"); }), HasSubstr("the file ends in the magic number"));
}

TEST_F(GgufFileTest, QuantisedTensorsAreListedButNotLoaded) {
  WriteFileAtomically(folder() / "q.gguf", B::File({}, {B::Tensor("blk.0.ffn_up.weight", {256, 2}, 12, 0)}, 288));
  const GgufFile file(folder() / "q.gguf");
  ASSERT_NE(file.Find("blk.0.ffn_up.weight"), nullptr);
  const TensorData data{file.Find("blk.0.ffn_up.weight"), &file};
  std::vector<float> out(1);
  EXPECT_EQ(
      ErrorOf([&] { data.LoadF32(0, out); }),
      (folder() / "q.gguf").string() +
          ": tensor \"blk.0.ffn_up.weight\" has type Q4_K, which is not supported yet; expected F32, F16 or BF16");
}

}  // namespace
}  // namespace kinetok

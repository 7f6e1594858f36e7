#include "kinetok/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "kinetok/base/error.h"
#include "kinetok/io/io_test_files.h"
#include "kinetok/io/safetensors_cases.h"

namespace kinetok {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

SafetensorsHeader Parse(std::string_view bytes) {
  return ParseSafetensorsHeader(std::as_bytes(std::span(bytes.data(), bytes.size())), bytes.size(), "w.safetensors");
}

TEST(SafetensorsHeaderTest, AcceptsValidFilesAndRefusesEveryMalformedOneByName) {
  int valid = 0, malformed = 0;
  for (const SafetensorsCase& c : SafetensorsCases()) {
    SCOPED_TRACE(c.name);
    if (c.error.empty()) {
      ++valid;
      EXPECT_NO_THROW(Parse(c.bytes));
    } else {
      ++malformed;
      EXPECT_THAT(ErrorOf([&] { Parse(c.bytes); }),
                  AllOf(StartsWith("w.safetensors: "), HasSubstr(c.error), Not(HasSubstr("\n"))));
    }
  }
  EXPECT_GE(valid, 11);
  EXPECT_GE(malformed, 60);
}

TEST(SafetensorsHeaderTest, EveryCutOfAValidFileIsRefused) {
  const std::string whole = SafetensorsCases()[0].bytes;
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_NE(ErrorOf([&] { Parse(std::string_view(whole).substr(0, n)); }), "") << n;
  }
}

TEST(SafetensorsHeaderTest, GivesNamesTypesShapesAndPlacesInFileOrder) {
  const std::string header =
      R"({"late":{"dtype":"BF16","shape":[2,3],"data_offsets":[9,21]},"__metadata__":{"format":"pt"},)"
      R"("mask":{"dtype":"BOOL","shape":[9],"data_offsets":[0,9]},"one":{"dtype":"F32","shape":[],"data_offsets":[21,25]}})";
  const SafetensorsHeader parsed = Parse(SafetensorsBytes(header, 25));
  const auto data = static_cast<int64_t>(8 + header.size());
  EXPECT_EQ(parsed.data_offset, data);
  EXPECT_EQ(parsed.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(parsed.tensors.size(), 3u);
  const TensorInfo &mask = parsed.tensors[0], &late = parsed.tensors[1], &one = parsed.tensors[2];
  EXPECT_EQ(mask.name, "mask");
  EXPECT_EQ(mask.dtype, "BOOL");
  EXPECT_FALSE(mask.type.has_value());
  EXPECT_EQ(late.name, "late");
  EXPECT_EQ(late.type, DType::kBF16);
  EXPECT_EQ(late.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(late.elements(), 6);
  EXPECT_EQ(late.offset, data + 9);
  EXPECT_EQ(late.bytes, 12);
  EXPECT_EQ(one.type, DType::kF32);
  EXPECT_EQ(one.elements(), 1);
}

TEST(SafetensorsHeaderTest, EveryPublishedTypeHasItsSize) {
  const std::pair<const char*, int> types[] = {
      {"F64", 64},    {"F32", 32},        {"F16", 16},        {"BF16", 16},   {"I64", 64},    {"I32", 32},
      {"I16", 16},    {"I8", 8},          {"U64", 64},        {"U32", 32},    {"U16", 16},    {"U8", 8},
      {"BOOL", 8},    {"C64", 64},        {"F8_E4M3", 8},     {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6},
      {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F4", 4}};
  for (const auto& [name, bits] : types) {
    const auto header = fmt::format(R"({{"a":{{"dtype":"{}","shape":[8],"data_offsets":[0,{}]}}}})", name, bits);
    EXPECT_EQ(Parse(SafetensorsBytes(header, static_cast<size_t>(bits))).tensors[0].bytes, bits) << name;
  }
}

TEST(SafetensorsHeaderTest, NamesFromTheFileCannotBreakTheMessage) {
  const std::string header = R"({"a\n\u001b[2J":{"dtype":"X","shape":[1],"data_offsets":[0,1]}})";
  const std::string error = ErrorOf([&] { Parse(SafetensorsBytes(header, 1)); });
  EXPECT_THAT(error, HasSubstr(R"(tensor "a\n\u001b[2J" has dtype "X")"));
  EXPECT_THAT(error, Not(HasSubstr("\n")));
}

TEST(SafetensorsHeaderTest, TwentyThousandTensorsAreRead) {
  std::string header = "{";
  for (int i = 0; i < 20000; ++i) {
    header += fmt::format(R"("t{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},)", i);
  }
  header.back() = '}';
  EXPECT_EQ(Parse(SafetensorsBytes(header, 0)).tensors.size(), 20000u);
}

using SafetensorsFileTest = TemporaryFolder;

TEST_F(SafetensorsFileTest, FindsReadsAndDropsTensorsAtAnyAlignment) {
  const float values[] = {1.5f, -2.25f};
  std::string bytes = SafetensorsBytes(R"({"pad":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                       R"("w":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},)"
                                       R"("h":{"dtype":"F16","shape":[2],"data_offsets":[9,13]}})",
                                       1);
  bytes.append(reinterpret_cast<const char*>(values), sizeof(values));
  bytes += std::string("\x00\x3c\x00\xc0", 4);  // 1 and -2
  WriteFileAtomically(folder() / "w.safetensors", bytes);

  const SafetensorsFile file(folder() / "w.safetensors");
  EXPECT_EQ(file.Find("absent"), nullptr);
  ASSERT_NE(file.Find("w"), nullptr);
  const TensorData w{file.Find("w"), &file}, h{file.Find("h"), &file}, pad{file.Find("pad"), &file};
  float out[2] = {};
  w.LoadF32(0, out);
  EXPECT_EQ(out[0], 1.5f);
  EXPECT_EQ(out[1], -2.25f);
  w.Drop();
  w.LoadF32(1, std::span(out, 1));
  EXPECT_EQ(out[0], -2.25f);
  h.LoadF32(0, out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -2.0f);
  EXPECT_THROW(w.LoadF32(1, out), std::logic_error);
  EXPECT_THAT(ErrorOf([&] { pad.LoadF32(0, std::span(out, 1)); }),
              HasSubstr("tensor \"pad\" has type U8, which is not supported yet; expected F32, F16 or BF16"));
  EXPECT_EQ(w.Describe(), (folder() / "w.safetensors").string() + ": tensor \"w\"");
}

TEST_F(SafetensorsFileTest, MalformedAndUnreadableFilesAreNamed) {
  for (const SafetensorsCase& c : SafetensorsCases()) {
    SCOPED_TRACE(c.name);
    WriteFileAtomically(folder() / "w.safetensors", c.bytes);
    EXPECT_EQ(ErrorOf([&] { SafetensorsFile(folder() / "w.safetensors"); }).empty(), c.error.empty());
  }
  EXPECT_THAT(ErrorOf([&] { SafetensorsFile(folder() / "absent.safetensors"); }),
              AllOf(HasSubstr("absent.safetensors"), HasSubstr("No such file")));
  EXPECT_THAT(ErrorOf([&] { SafetensorsFile file(folder()); }), HasSubstr("is a folder"));
}

}  // namespace
}  // namespace kinetok

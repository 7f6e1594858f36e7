#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/memory.h"
#include "kinetok/base/random.h"
#include "kinetok/base/sha256.h"

namespace kinetok {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

std::string MessageOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "(no error)";
}

TEST(ErrorTest, FailFormatsASentenceAndChecksNameTheirPlace) {
  EXPECT_EQ(MessageOf([] { Fail("{}: rank is {}, expected {}", "a.bin", 3, 2); }), "a.bin: rank is 3, expected 2");
  EXPECT_THROW(KINETOK_CHECK(1 + 1 == 3), std::logic_error);
  EXPECT_NO_THROW(KINETOK_CHECK(1 + 1 == 2));
}

TEST(CheckedTest, OverflowIsReportedNotWrapped) {
  EXPECT_EQ(CheckedAdd<int64_t>(INT64_MAX, 0), INT64_MAX);
  EXPECT_FALSE(CheckedAdd<int64_t>(INT64_MAX, 1));
  EXPECT_FALSE(CheckedMul<int64_t>(int64_t{1} << 32, int64_t{1} << 31));
  EXPECT_EQ(CheckedMul<uint64_t>(3, 5), 15u);
  EXPECT_EQ(CheckedElements({}), 1);
  const int64_t plain[] = {2, 3, 4}, zero[] = {INT64_MAX, 0, INT64_MAX}, huge[] = {INT64_MAX, 2}, negative[] = {0, -1};
  EXPECT_EQ(CheckedElements(plain), 24);
  EXPECT_EQ(CheckedElements(zero), 0);
  EXPECT_FALSE(CheckedElements(huge));
  EXPECT_FALSE(CheckedElements(negative));
  EXPECT_EQ(RoundUp(65, 64), 128);
  EXPECT_EQ(CeilDiv(0, 64), 0);
}

// The known answers that Random123 ships for philox4x32-10.
TEST(RandomTest, PhiloxGivesItsKnownAnswers) {
  EXPECT_EQ(Philox(0, {0, 0, 0, 0}), (Philox4{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox(UINT64_MAX, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}),
            (Philox4{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox(0x299f31d0a4093822u, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Philox4{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomTest, StreamsDifferAndUniformsStayInRange) {
  EXPECT_NE(RandomBits(1, RandomStream::kSample, 2, 3), RandomBits(1, RandomStream::kData, 2, 3));
  EXPECT_EQ(UniformDouble(0, 0), 0.0);
  EXPECT_LT(UniformDouble(UINT32_MAX, UINT32_MAX), 1.0);
  double sum = 0;
  int64_t counts[10] = {};
  for (uint64_t i = 0; i < 20000; ++i) {
    const Philox4 bits = RandomBits(7, RandomStream::kTest, 0, i);
    sum += UniformDouble(bits[0], bits[1]);
    ++counts[UniformBelow(bits, 10)];
  }
  EXPECT_NEAR(sum / 20000, 0.5, 6 * 0.2887 / 141.4);  // six standard deviations
  for (const int64_t c : counts) EXPECT_NEAR(c, 2000, 6 * 42.5);
}

TEST(Sha256Test, GivesItsKnownAnswersInOnePieceOrSeveral) {
  EXPECT_EQ(Sha256().Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 abc;
  const std::string a = "a", bc = "bc";
  abc.Update(std::as_bytes(std::span(a)));
  abc.Update(std::as_bytes(std::span(bc)));
  EXPECT_EQ(abc.Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(MemoryTest, ReportsUseAndRefusesWhatCannotBeHad) {
  EXPECT_GT(PeakRssBytes(), 0);
  EXPECT_NO_THROW(RequireMemory(1, "a test"));
  if (AvailableMemoryBytes() < 0) return;
  EXPECT_THAT(MessageOf([] { RequireMemory(INT64_MAX, "the model"); }), HasSubstr("the model needs"));
}

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kinetok_base_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  int64_t Entries() const { return std::distance(fs::directory_iterator(folder), fs::directory_iterator()); }
  fs::path folder;
};

TEST_F(FileTest, WhatIsWrittenIsReadBack) {
  const fs::path file = folder / "a.bin";
  const std::string bytes("with\0zero\n", 10);
  WriteFileAtomically(file, bytes);
  EXPECT_EQ(ReadFile(file), bytes);
  WriteFileAtomically(file, "");
  EXPECT_EQ(ReadFile(file), "");
  EXPECT_EQ(MappedFile(file).size(), 0u);
  EXPECT_EQ(Entries(), 1);
}

TEST_F(FileTest, ErrorsNameTheFileAndTheReason) {
  EXPECT_THAT(MessageOf([&] { ReadFile(folder / "absent"); }), AllOf(HasSubstr("absent"), HasSubstr("No such file")));
  EXPECT_THAT(MessageOf([&] { ReadFile(folder); }), HasSubstr("a folder"));
  EXPECT_EQ(MessageOf([&] { ReadFile(fs::path(std::string("a\0b", 3))); }), "a: behind it the path holds a NUL");
  EXPECT_THAT(MessageOf([&] { MappedFile("/dev/null"); }), HasSubstr("not a file"));
  EXPECT_THAT(MessageOf([&] { WriteFileAtomically(folder / "no" / "such", "x"); }), HasSubstr("cannot be created"));
  EXPECT_THAT(MessageOf([&] { SyncDirectory(folder / "absent"); }), HasSubstr("absent"));
}

TEST_F(FileTest, AnUncommittedFileLeavesTheOldOneAndNoTrace) {
  const fs::path file = folder / "a.bin";
  WriteFileAtomically(file, "old");
  {
    AtomicFile next(file);
    next.Write("new");
    EXPECT_EQ(ReadFile(file), "old");
  }
  EXPECT_EQ(ReadFile(file), "old");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(FileTest, ALinkKeepsPointingAndADeviceIsNotReplaced) {
  WriteFileAtomically(folder / "a.bin", "old");
  fs::create_symlink("a.bin", folder / "link");
  WriteFileAtomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(ReadFile(folder / "a.bin"), "new");
  fs::create_symlink("circle", folder / "circle");
  WriteFileAtomically(folder / "circle", "x");  // points at nothing, so nothing else could be meant
  EXPECT_EQ(ReadFile(folder / "circle"), "x");
  fs::remove(folder / "circle");
  EXPECT_THAT(MessageOf([&] { AtomicFile("/dev/null"); }),
              HasSubstr("/dev/null: is not a file, expected a regular file"));
  EXPECT_THAT(MessageOf([&] { AtomicFile{folder}; }), HasSubstr("is a folder, expected a regular file"));
  EXPECT_EQ(Entries(), 2);
}

// A limit on file sizes stands in for a full disk: write() comes back short, then fails.
TEST_F(FileTest, AWriteThatFailsHalfwayLeavesTheOldFile) {
  const fs::path file = folder / "a.bin";
  WriteFileAtomically(file, "old");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {100000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = MessageOf([&] { WriteFileAtomically(file, std::string(300000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, AllOf(HasSubstr("a.bin"), HasSubstr("cannot be written")));
  EXPECT_EQ(ReadFile(file), "old");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(FileTest, AMappedFileKeepsItsBytesWhenMovedAndDropped) {
  const fs::path file = folder / "a.bin";
  const std::string bytes(100000, 'k');
  WriteFileAtomically(file, bytes);
  MappedFile first(file), second = std::move(first), third;
  third = std::move(second);
  third.Drop(0, 50000);
  third.Drop(99999, 1 << 20);
  third.Drop(1 << 20, 5);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(third.bytes().data()), third.size()), bytes);
  EXPECT_EQ(third.path(), file);
  EXPECT_EQ(first.size(), 0u);  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move): it is empty then
}

TEST_F(FileTest, ALockIsExclusiveUntilItIsReleased) {
  const fs::path file = folder / "lock";
  {
    const FileLock held(file);
    EXPECT_THAT(MessageOf([&] { FileLock second(file); }), AllOf(HasSubstr("lock"), HasSubstr("another process")));
  }
  EXPECT_NO_THROW(FileLock{file});
}

TEST(JsonTest, FaultsNameTheSourceAndThePlace) {
  EXPECT_THAT(MessageOf([] { ParseJson("{\n\"a\": }", "c.json"); }), AllOf(HasSubstr("c.json"), HasSubstr("line 2")));
  EXPECT_THAT(MessageOf([] { ParseJson("", "c.json"); }), HasSubstr("c.json"));
  EXPECT_THAT(MessageOf([] { ParseJson(std::string(70, '[') + std::string(70, ']'), "deep.json"); }),
              HasSubstr("deeper than 64"));
  EXPECT_NO_THROW(ParseJson(std::string(60, '[') + std::string(60, ']'), "ok.json"));
  EXPECT_THAT(MessageOf([] { ParseJson(std::string(100000, '['), "bomb.json"); }), HasSubstr("bomb.json"));
}

TEST(JsonTest, FieldsOfTheWrongKindAreNamedWithTheirValue) {
  const Json json = ParseJson(
      R"({"n": 5, "big": 18446744073709551615, "f": 1.5, "s": "text", "b": true, "z": null, "o": {"k": "v"}, "a": [1]})",
      "c.json");
  const JsonObject o(json, "c.json");
  EXPECT_EQ(o.Int("n", 0, 10), 5);
  EXPECT_EQ(o.Number("f"), 1.5);
  EXPECT_EQ(o.Number("n"), 5.0);
  EXPECT_TRUE(o.Bool("b"));
  EXPECT_EQ(o.String("s"), "text");
  EXPECT_EQ(o.Array("a").size(), 1u);
  EXPECT_EQ(o.Object("o").String("k"), "v");
  EXPECT_FALSE(o.Has("z"));
  EXPECT_EQ(o.Int("absent", 0, 10, 7), 7);
  EXPECT_EQ(o.Number("z", 2.5), 2.5);
  EXPECT_EQ(o.Bool("absent", true), true);
  EXPECT_EQ(o.String("absent", "d"), "d");
  EXPECT_THAT(MessageOf([&] { o.Int("n", 0, 4); }),
              AllOf(HasSubstr("c.json"), HasSubstr("\"n\" is 5"), HasSubstr("0 to 4")));
  EXPECT_THAT(MessageOf([&] { o.Int("big", 0, INT64_MAX); }), HasSubstr("\"big\""));
  EXPECT_THAT(MessageOf([&] { o.Int("f", 0, 4); }), HasSubstr("1.5"));
  EXPECT_THAT(MessageOf([&] { o.Number("s"); }), HasSubstr("finite number"));
  EXPECT_THAT(MessageOf([&] { o.Bool("n"); }), HasSubstr("true or false"));
  EXPECT_THAT(MessageOf([&] { o.String("n"); }), HasSubstr("a string"));
  EXPECT_THAT(MessageOf([&] { o.Object("a"); }), HasSubstr("an object"));
  EXPECT_THAT(MessageOf([&] { o.Array("o"); }), HasSubstr("an array"));
  EXPECT_THAT(MessageOf([&] { o.Int("absent", 0, 4); }), AllOf(HasSubstr("\"absent\""), HasSubstr("missing")));
  EXPECT_THAT(MessageOf([&] { o.Int("z", 0, 4); }), HasSubstr("null"));
  EXPECT_THAT(MessageOf([&] { o.Object("o").String("x"); }), HasSubstr("c.json: o"));
  EXPECT_THAT(MessageOf([&] { o.Int("s", 0, 4, 1); }), HasSubstr("\"s\""));
  EXPECT_THAT(MessageOf([&] { JsonObject(Json(3), "top.json"); }), HasSubstr("top.json"));
}

TEST(JsonTest, LongValuesAreShortenedInMessages) {
  EXPECT_EQ(Shorten(Json(std::string(500, 'x'))).size(), 60u);
  EXPECT_EQ(Shorten(Json("\xff")), "\"\\ufffd\"");
  // As the whole value printed and then cut, wherever its length lies.
  const std::string pixels(5000, 'A'), umlauts = [] {
    std::string text = "x";
    for (int i = 0; i < 500; ++i) text += "\u00e9";
    return text;
  }();
  for (const Json& value : {Json(pixels), Json(umlauts), Json({{"image", pixels}, {"text", umlauts}}),
                            Json({{pixels, 1}, {umlauts, {2}}}), Json({1, {2, pixels}, nullptr}),
                            Json(std::vector<int>(5000, 7)), Json({{1, 2}, {3, Json::object()}, true, 1.5})}) {
    const std::string all = value.dump(-1, ' ', true);
    EXPECT_EQ(Shorten(value), all.size() > 60 ? all.substr(0, 57) + "..." : all);
  }
}

}  // namespace
}  // namespace kinetok

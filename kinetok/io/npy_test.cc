#include "kinetok/io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

using NpyTest = TemporaryFolder;

// The header of `shape`, as numpy.lib.format describes version 1.0.
std::string Header(const std::string& file) {
  EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t length = static_cast<unsigned char>(file[8]) + 256u * static_cast<unsigned char>(file[9]);
  EXPECT_EQ((10 + length) % 64, 0u);
  return file.substr(10, length);
}

TEST_F(NpyTest, StreamedRowsMakeTheFileThatNumpyDescribes) {
  const float values[] = {1, 2, 3, -4, 0.5f, 6};
  const int64_t shape[] = {2, 3};
  NpyWriter writer(folder() / "x.npy", shape);
  writer.Write(std::span(values).first(3));
  writer.Write(std::span(values).subspan(3));
  EXPECT_FALSE(std::filesystem::exists(folder() / "x.npy"));
  writer.Commit();

  const std::string file = ReadFile(folder() / "x.npy");
  EXPECT_THAT(Header(file),
              AllOf(HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"), EndsWith("\n")));
  ASSERT_EQ(file.size(), 10 + Header(file).size() + sizeof(values));
  EXPECT_EQ(std::memcmp(file.data() + file.size() - sizeof(values), values, sizeof(values)), 0);
}

TEST_F(NpyTest, ShapesAreWrittenAsPythonTuples) {
  const auto header = [&](std::vector<int64_t> shape, size_t n) {
    WriteNpy(folder() / "x.npy", shape, std::vector<float>(n));
    return Header(ReadFile(folder() / "x.npy"));
  };
  EXPECT_THAT(header({4}, 4), HasSubstr("'shape': (4,), }"));
  EXPECT_THAT(header({}, 1), HasSubstr("'shape': (), }"));
  EXPECT_THAT(header({0, 7}, 0), HasSubstr("'shape': (0, 7), }"));
}

TEST_F(NpyTest, TooFewAndTooManyValuesAreOurMistakes) {
  const int64_t shape[] = {2};
  const float values[3] = {};
  NpyWriter writer(folder() / "x.npy", shape);
  EXPECT_THROW(writer.Write(values), std::logic_error);
  writer.Write(std::span(values).first(1));
  EXPECT_THROW(writer.Commit(), std::logic_error);
}

TEST_F(NpyTest, AnImpossibleShapeIsRefused) {
  const int64_t shape[] = {INT64_MAX, 3};
  EXPECT_THAT(ErrorOf([&] { NpyWriter(folder() / "x.npy", shape); }), HasSubstr("too large"));
}

TEST_F(NpyTest, AFullDiskLeavesTheOldFile) {
  const int64_t shape[] = {50000};
  WriteFileAtomically(folder() / "x.npy", "old");
  {
    const FullDisk disk(1000);
    EXPECT_THAT(ErrorOf([&] { WriteNpy(folder() / "x.npy", shape, std::vector<float>(50000)); }),
                HasSubstr("cannot be written"));
  }
  EXPECT_EQ(ReadFile(folder() / "x.npy"), "old");
  EXPECT_THAT(Listing(), ElementsAre("x.npy"));
}

}  // namespace
}  // namespace kinetok

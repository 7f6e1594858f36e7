#include "kinetok/serve/act_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "kinetok/io/io_test_files.h"
#include "kinetok/serve/act_request_cases.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPixels = int64_t{1} << 20;

// The texts are json_numpy 2.1.1's.
TEST(JsonNumpyTest, WritesDoublesAsPythonDoes) {
  const std::vector<double> action = {0.1, -2.5, 1.0 / 3, 0, -0.0, 1e300, 5e-324};
  EXPECT_EQ(EncodeDoubles(action),
            OrderedJson::parse(
                R"({"__numpy__": "mpmZmZmZuT8AAAAAAAAEwFVVVVVVVdU/AAAAAAAAAAAAAAAAAAAAgJx1AIg85Dd+AQAAAAAAAAA=",)"
                R"( "dtype": "<f8", "shape": [7]})"));
}

TEST(JsonNumpyTest, ReadsPythonsPixelsInEveryShape) {
  struct Case {
    const char* text;
    ChannelOrder order;
    int64_t width, height, stride;
    std::vector<uint8_t> first_row_rgb;
  };
  const Case cases[] = {{R"({"__numpy__": "AAECAwQFBgcICQoLDA0ODxAR", "dtype": "|u1", "shape": [2, 3, 3]})",
                         ChannelOrder::kRgb,
                         3,
                         2,
                         9,
                         {0, 1, 2, 3, 4, 5, 6, 7, 8}},
                        {R"({"__numpy__": "CQoLDA0ODxARAAECAwQFBgcI", "dtype": "|u1", "shape": [2, 3, 3]})",
                         ChannelOrder::kRgb,
                         3,
                         2,
                         9,
                         {9, 10, 11, 12, 13, 14, 15, 16, 17}},
                        {R"({"__numpy__": "AAMGCQwP", "dtype": "|u1", "shape": [2, 3]})",
                         ChannelOrder::kGray,
                         3,
                         2,
                         3,
                         {0, 0, 0, 3, 3, 3, 6, 6, 6}},
                        {R"({"__numpy__": "AAECAwQFBgc=", "dtype": "|u1", "shape": [2, 1, 4]})",
                         ChannelOrder::kRgba,
                         1,
                         2,
                         4,
                         {0, 1, 2}}};
  for (const Case& c : cases) {
    const Json json = Json::parse(c.text);
    const PixelArray pixels = DecodePixels(JsonObject(json, "image"), 6);
    const ImageView view = pixels.view();
    CheckImageView(view);
    EXPECT_EQ(view.order, c.order);
    EXPECT_EQ(view.width, c.width);
    EXPECT_EQ(view.height, c.height);
    EXPECT_EQ(view.row_stride, c.stride);
    std::vector<uint8_t> row(static_cast<size_t>(3 * c.width));
    CopyRgbRow(view, 0, row.data());
    EXPECT_EQ(row, c.first_row_rgb);
  }
}

TEST(ActRequestTest, EveryCaseIsReadOrNamesItsFault) {
  for (const ActBodyCase& c : ActBodyCases()) {
    const std::string error = ErrorOf([&] {
      const ActRequest request = ParseActRequest(c.body, kPixels);
      EXPECT_EQ(request.image.bytes.substr(0, 8), std::string("\0\1\2\3\4\5\6\7", 8)) << c.name;
    });
    if (c.error.empty()) {
      EXPECT_EQ(error, "") << c.name;
    } else {
      EXPECT_THAT(error, HasSubstr(c.error)) << c.name;
    }
    EXPECT_LT(error.size(), 400u) << c.name;
  }
}

TEST(ActRequestTest, FieldsArriveAsTheyWereSent) {
  const ActRequest plain = ParseActRequest(ActBodyWith("/unnorm_key", "toy"), kPixels);
  EXPECT_EQ(plain.unnorm_key, "toy");
  EXPECT_EQ(plain.instruction, "reach");
  EXPECT_FALSE(plain.encoded);
  const ActRequest encoded =
      ParseActRequest(Json({{"encoded", ActBodyWith("/instruction", "컵을 \"잡아\"\n")}}).dump(), 6);
  EXPECT_EQ(encoded.unnorm_key, "");
  EXPECT_EQ(encoded.instruction, "컵을 \"잡아\"\n");
  EXPECT_EQ(encoded.image.bytes, plain.image.bytes);
  EXPECT_TRUE(encoded.encoded);
}

TEST(ActRequestTest, AnImageMayHaveAsManyPixelsAsTheLimit) {
  EXPECT_EQ(ErrorOf([] { ParseActRequest(SmallActRequest().dump(), 6); }), "");
  EXPECT_THAT(ErrorOf([] { ParseActRequest(SmallActRequest().dump(), 5); }),
              HasSubstr("[2,3,3], 6 pixels; the limit is 5 (--max-image-pixels)"));
}

TEST(ActRequestTest, AnEncodedRequestGetsItsAnswerAsText) {
  const std::vector<double> action = {1, std::numeric_limits<double>::infinity()};
  const std::string plain = FormatAction(action, false), text = FormatAction(action, true);
  EXPECT_EQ(plain, R"({"__numpy__":"AAAAAAAA8D8AAAAAAADwfw==","dtype":"<f8","shape":[2]})");
  EXPECT_EQ(Json::parse(text).get<std::string>(), plain);
}

}  // namespace
}  // namespace kinetok

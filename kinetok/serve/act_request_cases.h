// Bodies of POST /act for the tests and the fuzzer's seeds, and what is wrong with the malformed ones.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "kinetok/base/base64.h"
#include "kinetok/base/json.h"
#include "kinetok/io/image.h"

namespace kinetok {

struct ActBodyCase {
  std::string name, body;
  std::string error;  // part of the message; empty: the body is valid
};

// A request of 3 x 2 pixels, 0 to 17, as json_numpy writes it.
inline Json SmallActRequest() {
  return {{"image", {{"__numpy__", "AAECAwQFBgcICQoLDA0ODxAR"}, {"dtype", "|u1"}, {"shape", {2, 3, 3}}}},
          {"instruction", "reach"}};
}

// A request for `view`, as OpenVLA's clients write it.
inline Json ActRequestJson(const ImageView& view, const std::string& instruction) {
  const Image rgb = CopyToRgb(view);
  return {{"image",
           {{"__numpy__", EncodeBase64(std::as_bytes(std::span(rgb.pixels)))},
            {"dtype", "|u1"},
            {"shape", {rgb.height, rgb.width, 3}}}},
          {"instruction", instruction}};
}

// SmallActRequest with another value in one place.
inline std::string ActBodyWith(const std::string& pointer, const Json& value) {
  Json json = SmallActRequest();
  json[Json::json_pointer(pointer)] = value;
  return json.dump();
}

inline std::string ActBodyWithout(const std::string& object, const std::string& key) {
  Json json = SmallActRequest();
  json[Json::json_pointer(object)].erase(key);
  return json.dump();
}

inline std::vector<ActBodyCase> ActBodyCases() {
  const std::string shape_error = "image: field \"shape\" is ";
  std::string ones;
  for (int i = 0; i < 2000; ++i) ones += "1,";
  const std::string small = SmallActRequest().dump();
  const auto encoded = [](const std::string& inner) { return Json({{"encoded", inner}}).dump(); };
  return {
      {"valid", small, ""},
      {"valid_as_python",
       R"({"image": {"__numpy__": "AAECAwQFBgcICQoLDA0ODxAR", "dtype": "|u1", "shape": [2, 3, 3]}, )"
       R"("instruction": "a \"b\" \uc624\ub298", "unnorm_key": null})",
       ""},
      {"valid_encoded", encoded(small), ""},
      {"nul", small + std::string("\0}", 2), fmt::format("body: not valid JSON: NUL at byte {}", small.size())},
      {"nul_encoded", encoded(small + '\0'), "not valid JSON: NUL at byte"},
      {"valid_key", ActBodyWith("/unnorm_key", "toy"), ""},
      {"valid_uint8", ActBodyWith("/image/dtype", "uint8"), ""},
      {"valid_grey", ActBodyWith("/image/shape", {3, 6}), ""},
      {"valid_rgba", R"({"image":{"__numpy__":"AAECAwQFBgc=","dtype":"|u1","shape":[2,1,4]},"instruction":"x"})", ""},
      {"nothing", "", "body: not valid JSON"},
      {"text", "hello", "body: not valid JSON"},
      {"cut", small.substr(0, small.size() / 2), "body: not valid JSON"},
      {"number_nan", R"({"instruction": NaN})", "body: not valid JSON"},
      {"list", "[1, 2]", "body: expected a JSON object, got [1,2]"},
      {"deep", std::string(5000, '['), "body: JSON is nested deeper than 4 levels"},
      {"many", "[" + ones + "1]", "body: JSON holds more than 64 values"},
      {"not_utf8", "{\"instruction\": \"\xff\xfe\"}", "body: not valid JSON"},
      {"half_surrogate", R"({"instruction": "\ud800"})", "body: not valid JSON"},
      {"no_image", ActBodyWithout("", "image"), "body: required field \"image\" is missing"},
      {"no_instruction", ActBodyWithout("", "instruction"), "body: required field \"instruction\" is missing"},
      {"null_instruction", ActBodyWith("/instruction", nullptr), "body: required field \"instruction\" is null"},
      {"number_instruction", ActBodyWith("/instruction", 7), "body: field \"instruction\" is 7, expected a string"},
      {"no_words", ActBodyWith("/instruction", ""), "the instruction is empty"},
      {"long_instruction", ActBodyWith("/instruction", std::string(1 << 20, 'x')),
       "the instruction has 1048576 bytes, expected at most 4096"},
      {"number_key", ActBodyWith("/unnorm_key", 1), "body: field \"unnorm_key\" is 1, expected a string"},
      {"unknown_field", ActBodyWith("/state", {1, 2}),
       "body: field \"state\" is unknown; expected image, instruction, unnorm_key"},
      {"image_text", ActBodyWith("/image", "pixels"), "body: field \"image\" is \"pixels\", expected an object"},
      {"image_list", ActBodyWith("/image", {1, 2}), "body: field \"image\" is [1,2], expected an object"},
      {"image_unknown", ActBodyWith("/image/order", "F"), "body: image: field \"order\" is unknown"},
      {"no_pixels", ActBodyWithout("/image", "__numpy__"), "body: image: required field \"__numpy__\" is missing"},
      {"no_dtype", ActBodyWithout("/image", "dtype"), "body: image: required field \"dtype\" is missing"},
      {"no_shape", ActBodyWithout("/image", "shape"), "body: image: required field \"shape\" is missing"},
      {"floats", ActBodyWith("/image/dtype", "<f4"), "field \"dtype\" is \"<f4\", expected \"|u1\""},
      {"structured", ActBodyWith("/image/dtype", {{"r", "|u1"}}), "field \"dtype\" is {\"r\":\"|u1\"}"},
      {"shape_empty", ActBodyWith("/image/shape", Json::array()), shape_error + "[]"},
      {"shape_one", ActBodyWith("/image/shape", {18}), shape_error + "[18]"},
      {"shape_four", ActBodyWith("/image/shape", {1, 2, 3, 3}), shape_error + "[1,2,3,3]"},
      {"shape_zero", ActBodyWith("/image/shape", {0, 3, 3}), shape_error + "[0,3,3]"},
      {"shape_negative", ActBodyWith("/image/shape", {-2, 3, 3}), shape_error + "[-2,3,3]"},
      {"shape_channels", ActBodyWith("/image/shape", {3, 3, 2}), shape_error + "[3,3,2]"},
      {"shape_float", ActBodyWith("/image/shape", {2.0, 3, 3}), shape_error + "[2.0,3,3]"},
      {"shape_text", ActBodyWith("/image/shape", {"2", 3, 3}), shape_error + "[\"2\",3,3]"},
      {"shape_huge", ActBodyWith("/image/shape", {4611686018427387904, 4, 3}),
       shape_error + "[4611686018427387904,4,3]"},
      {"shape_wide", ActBodyWith("/image/shape", {1, 65537, 3}), shape_error + "[1,65537,3]"},
      {"shape_pixels", ActBodyWith("/image/shape", {65536, 65536, 3}), "4294967296 pixels; the limit is "},
      {"shape_more", ActBodyWith("/image/shape", {3, 3, 3}), "holds 18 bytes, expected 27, as \"shape\" [3,3,3] has"},
      {"shape_less", ActBodyWith("/image/shape", {1, 3, 3}), "holds 18 bytes, expected 9"},
      {"pixels_none", ActBodyWith("/image/__numpy__", ""), "holds 0 bytes, expected 18"},
      {"pixels_list", ActBodyWith("/image/__numpy__", {1, 2}), "field \"__numpy__\" is [1,2], expected a string"},
      {"base64_length", ActBodyWith("/image/__numpy__", "AAE"), "field \"__numpy__\" has 3 characters"},
      {"base64_letter", ActBodyWith("/image/__numpy__", "AA-_"), "field \"__numpy__\" has 0x2d at character 2"},
      {"base64_line", ActBodyWith("/image/__numpy__", "AAEC\nAwQ"), "field \"__numpy__\" has 0x0a at character 4"},
      {"encoded_number", R"({"encoded": 5})", "body: field \"encoded\" is 5, expected a string"},
      {"encoded_object", R"({"encoded": {}})", "body: field \"encoded\" is {}, expected a string"},
      {"encoded_text", R"({"encoded": "hello"})", "encoded: not valid JSON"},
      {"encoded_more", R"({"encoded": "{}", "instruction": "x"})",
       "field \"instruction\" is unknown; expected encoded"},
      {"encoded_twice", encoded(encoded(small)), "encoded: field \"encoded\" is unknown"},
      {"encoded_image", encoded(ActBodyWith("/image/dtype", "<f8")), "encoded: image: field \"dtype\" is \"<f8\""},
  };
}

}  // namespace kinetok

#include "kinetok/serve/json_numpy.h"

#include <bit>
#include <vector>

#include "kinetok/base/base64.h"
#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {
namespace {

static_assert(std::endian::native == std::endian::little, "the elements are written as they lie in memory");

std::vector<int64_t> ReadShape(const JsonObject& array) {
  const Json& shape = array.Array("shape");
  const auto refuse = [&] {
    Fail(
        "{}: field \"shape\" is {}, expected [height, width, 3], [height, width, 4] or [height, width] with sides of 1 "
        "to {}",
        array.source(), Shorten(shape), kMaxImageSide);
  };
  if (shape.size() != 2 && shape.size() != 3) refuse();
  std::vector<int64_t> sides;
  for (const Json& side : shape) {
    if (!side.is_number_unsigned() || side.get<uint64_t>() < 1 || side.get<uint64_t>() > kMaxImageSide) refuse();
    sides.push_back(side.get<int64_t>());
  }
  if (sides.size() == 3 && sides[2] != 3 && sides[2] != 4) refuse();
  return sides;
}

}  // namespace

ImageView PixelArray::view() const {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), width, height, width * LayoutOf(order).bytes, order};
}

const std::string& LongString(const JsonObject& object, const std::string& key) {
  const auto field = object.json().find(key);
  if (field == object.json().end() || !field->is_string()) (void)object.String(key);  // says what is wrong
  return field->get_ref<const std::string&>();
}

PixelArray DecodePixels(const JsonObject& array, int64_t max_pixels) {
  const std::string dtype = array.String("dtype");
  if (dtype != "|u1" && dtype != "uint8") {
    Fail("{}: field \"dtype\" is {}, expected \"|u1\", the numbers 0 to 255 (numpy's uint8)", array.source(),
         Shorten(dtype));
  }
  const std::vector<int64_t> shape = ReadShape(array);
  PixelArray out;
  out.height = shape[0];
  out.width = shape[1];
  out.order = shape.size() == 2 ? ChannelOrder::kGray : shape[2] == 3 ? ChannelOrder::kRgb : ChannelOrder::kRgba;
  if (out.height * out.width > max_pixels) {
    Fail("{}: field \"shape\" is {}, {} pixels; the limit is {} (--max-image-pixels)", array.source(),
         Shorten(array.Array("shape")), out.height * out.width, max_pixels);
  }
  const std::string& text = LongString(array, "__numpy__");
  out.bytes = DecodeBase64(text, fmt::format("{}: field \"__numpy__\"", array.source()));
  const int64_t expected = CheckedElements(shape).value();
  if (static_cast<int64_t>(out.bytes.size()) != expected) {
    Fail("{}: field \"__numpy__\" holds {} bytes, expected {}, as \"shape\" {} has", array.source(), out.bytes.size(),
         expected, Shorten(array.Array("shape")));
  }
  return out;
}

OrderedJson EncodeDoubles(std::span<const double> values) {
  return {{"__numpy__", EncodeBase64(std::as_bytes(values))}, {"dtype", "<f8"}, {"shape", {values.size()}}};
}

}  // namespace kinetok

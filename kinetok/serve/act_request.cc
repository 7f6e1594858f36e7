#include "kinetok/serve/act_request.h"

#include "kinetok/base/error.h"
#include "kinetok/vla/instruction.h"

namespace kinetok {
namespace {

// A request has a dozen values in three levels: no other body may cost more memory than it has bytes.
constexpr JsonLimits kLimits = {.max_depth = 4, .max_values = 64};

ActRequest ReadRequest(const JsonObject& json, int64_t max_image_pixels) {
  json.AllowKeys({"image", "instruction", "unnorm_key"});
  ActRequest request;
  request.instruction = json.String("instruction");
  CheckInstruction(request.instruction);
  request.unnorm_key = json.String("unnorm_key", "");
  const JsonObject image = json.Object("image");
  image.AllowKeys({"__numpy__", "dtype", "shape"});
  request.image = DecodePixels(image, max_image_pixels);
  return request;
}

}  // namespace

ActRequest ParseActRequest(std::string body, int64_t max_image_pixels) {
  // A body may be the most of a server's memory: what has been read goes before the next step takes its own.
  Json json = ParseJson(body, "body", kLimits);
  std::string().swap(body);
  const JsonObject object(json, "body");
  if (!object.Has("encoded")) return ReadRequest(object, max_image_pixels);
  object.AllowKeys({"encoded"});
  const Json inner = ParseJson(LongString(object, "encoded"), "encoded", kLimits);
  json.clear();
  ActRequest request = ReadRequest(JsonObject(inner, "encoded"), max_image_pixels);
  request.encoded = true;
  return request;
}

std::string FormatAction(std::span<const double> action, bool encoded) {
  const std::string text = EncodeDoubles(action).dump();
  return encoded ? Json(text).dump() : text;
}

}  // namespace kinetok

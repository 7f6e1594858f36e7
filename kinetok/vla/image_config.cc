#include "kinetok/vla/image_config.h"

#include <cmath>
#include <string>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"

namespace kinetok {
namespace {

constexpr int64_t kPillowBicubic = 3;
constexpr std::pair<std::string_view, ResizeStrategy> kStrategies[] = {{"resize-naive", ResizeStrategy::kNaive},
                                                                       {"letterbox", ResizeStrategy::kLetterbox},
                                                                       {"resize-crop", ResizeStrategy::kCrop}};

// A field, and where in it: input_sizes[1].
struct Place {
  std::string source, field;

  [[noreturn]] void Refuse(const Json& value, std::string_view expected) const {
    Fail("{}: field \"{}\" is {}, expected {}", source, field, Shorten(value), expected);
  }
  Place operator[](size_t index) const { return {source, fmt::format("{}[{}]", field, index)}; }
  Place operator/(std::string_view key) const { return {source, fmt::format("{}.{}", field, key)}; }
};

const Json& PerTower(const JsonObject& o, std::string_view key, size_t towers) {
  const Json& list = o.Array(key);
  if (list.size() != towers) {
    Fail("{}: field \"{}\" has {} entries, expected {}, one a tower (input_sizes)", o.source(), key, list.size(),
         towers);
  }
  return list;
}

void RequireEqual(const Json& value, const Json& expected, const Place& place, std::string_view why) {
  if (value != expected) place.Refuse(value, fmt::format("{} ({})", expected.dump(), why));
}

const Json& Member(const Json& object, std::string_view key, const Place& place) {
  if (!object.is_object()) place.Refuse(object, "an object");
  const auto found = object.find(key);
  if (found == object.end()) Fail("{}: field \"{}\" is missing", place.source, (place / key).field);
  return *found;
}

std::array<double, 3> Triple(const Json& value, const Place& place, bool above_zero) {
  const std::string_view expected = above_zero ? "three numbers above 0, at most 1" : "three numbers from 0 to 1";
  if (!value.is_array() || value.size() != 3) place.Refuse(value, expected);
  std::array<double, 3> out{};
  for (size_t i = 0; i < 3; ++i) {
    if (!value[i].is_number()) place.Refuse(value, expected);
    out[i] = value[i].get<double>();
    if (!(out[i] >= 0 && out[i] <= 1) || (above_zero && !(static_cast<float>(out[i]) > 0))) {
      place.Refuse(value, expected);
    }
  }
  return out;
}

// tvf_normalize_params.mean or .std, which may have been rounded to bfloat16.
std::array<float, 3> RoundedTriple(const Json& value, const Place& place, const std::array<double, 3>& unrounded,
                                   std::string_view other) {
  const std::array<double, 3> given = Triple(value, place, other == "stds");
  std::array<float, 3> out{};
  for (size_t i = 0; i < 3; ++i) {
    out[i] = static_cast<float>(given[i]);
    if (std::fabs(static_cast<double>(out[i]) - unrounded[i]) > unrounded[i] * 0x1p-8) {
      place.Refuse(value, fmt::format("{}, {} up to bfloat16's rounding", Json(unrounded).dump(), other));
    }
  }
  return out;
}

// [[3, size, size], ...], the same size for every tower. Returns their number.
size_t ParseInputSizes(const JsonObject& o, int64_t* size) {
  const Place place{o.source(), "input_sizes"};
  const Json& list = o.Array("input_sizes");
  if (list.empty() || list.size() > 2) place.Refuse(list, "one size or two, one a tower");
  for (size_t t = 0; t < list.size(); ++t) {
    const Json& entry = list[t];
    const bool numbers = entry.is_array() && entry.size() == 3 && entry[0].is_number_integer() &&
                         entry[1].is_number_integer() && entry[2].is_number_integer();
    if (!numbers || entry[0] != 3 || entry[1] != entry[2]) place[t].Refuse(entry, "[3, size, size]");
    if (entry[1] < 1 || entry[1] > kMaxTowerImageSize) {
      place[t].Refuse(entry, fmt::format("sizes from 1 to {}", kMaxTowerImageSize));
    }
    if (t > 0) RequireEqual(entry, list[0], place[t], "the towers share one image");
    *size = entry[1].get<int64_t>();
  }
  return list.size();
}

ResizeStrategy ParseStrategy(const JsonObject& o) {
  const std::string name = o.String("image_resize_strategy");
  for (const auto& [known, strategy] : kStrategies) {
    if (name == known) return strategy;
  }
  Place{o.source(), "image_resize_strategy"}.Refuse(name, "\"resize-naive\", \"letterbox\" or \"resize-crop\"");
}

std::string_view NameOf(ResizeStrategy strategy) {
  for (const auto& [name, known] : kStrategies) {
    if (strategy == known) return name;
  }
  KINETOK_CHECK(false);
  return "";
}

Json ResizeSize(const ImageProcessorConfig& c) {
  return c.strategy == ResizeStrategy::kNaive ? Json{c.image_size, c.image_size} : Json(c.image_size);
}

void CheckResizeParams(const JsonObject& o, const ImageProcessorConfig& c) {
  const size_t towers = c.towers.size();
  if (o.Has("tvf_resize_params")) {
    const Json& list = PerTower(o, "tvf_resize_params", towers);
    for (size_t t = 0; t < towers; ++t) {
      const Place place = Place{o.source(), "tvf_resize_params"}[t];
      RequireEqual(Member(list[t], "size", place), ResizeSize(c), place / "size", "input_sizes, image_resize_strategy");
      RequireEqual(Member(list[t], "interpolation", place), kPillowBicubic, place / "interpolation", "bicubic");
      if (list[t].contains("max_size")) RequireEqual(list[t]["max_size"], nullptr, place / "max_size", "no limit");
      if (list[t].contains("antialias")) RequireEqual(list[t]["antialias"], true, place / "antialias", "Pillow's way");
    }
  }
  if (o.Has("tvf_crop_params")) {
    const Json& list = PerTower(o, "tvf_crop_params", towers);
    for (size_t t = 0; t < towers; ++t) {
      const Place place = Place{o.source(), "tvf_crop_params"}[t];
      RequireEqual(Member(list[t], "output_size", place), Json{c.image_size, c.image_size}, place / "output_size",
                   "input_sizes");
    }
  }
  const bool letterbox = c.strategy == ResizeStrategy::kLetterbox;
  if (o.Bool("tvf_do_letterbox", letterbox) != letterbox) {
    Place{o.source(), "tvf_do_letterbox"}.Refuse(!letterbox, fmt::format("{} (image_resize_strategy)", letterbox));
  }
  if (o.Has("tvf_letterbox_fill")) {
    const Place place{o.source(), "tvf_letterbox_fill"};
    if (!letterbox) place.Refuse(o.json().at("tvf_letterbox_fill"), "null (image_resize_strategy)");
    RequireEqual(o.Array("tvf_letterbox_fill"), c.letterbox_fill(), place, "int(255 * mean) of the last of `means`");
  }
}

void ParseNormalization(const JsonObject& o, ImageProcessorConfig* c) {
  const size_t towers = c->towers.size();
  const Json &means = PerTower(o, "means", towers), &stds = PerTower(o, "stds", towers);
  c->means.resize(towers);
  c->stds.resize(towers);
  for (size_t t = 0; t < towers; ++t) {
    c->means[t] = Triple(means[t], Place{o.source(), "means"}[t], false);
    c->stds[t] = Triple(stds[t], Place{o.source(), "stds"}[t], true);
    for (size_t i = 0; i < 3; ++i) {
      c->towers[t].mean[i] = static_cast<float>(c->means[t][i]);
      c->towers[t].std[i] = static_cast<float>(c->stds[t][i]);
    }
  }
  if (!o.Has("tvf_normalize_params")) return;
  const Json& list = PerTower(o, "tvf_normalize_params", towers);
  for (size_t t = 0; t < towers; ++t) {
    const Place place = Place{o.source(), "tvf_normalize_params"}[t];
    c->towers[t].mean = RoundedTriple(Member(list[t], "mean", place), place / "mean", c->means[t], "means");
    c->towers[t].std = RoundedTriple(Member(list[t], "std", place), place / "std", c->stds[t], "stds");
  }
}

void ParsePreset(const JsonObject& o, ImageProcessorConfig* c) {
  if (!o.Has("kinetok_preset")) return;
  const JsonObject preset = o.Object("kinetok_preset");
  const std::string name = preset.String("name");
  if (name != "server" && name != "tensorflow-eval") {
    Place{preset.source(), "name"}.Refuse(name, "\"server\" or \"tensorflow-eval\"");
  }
  const bool server = name == "server";
  for (const auto& [key, value] : preset.json().items()) {
    if (key == "name") continue;
    if (server || (key != "rotate_180" && key != "jpeg_round_trip" && key != "center_crop")) {
      Fail("{}: field \"{}\" is {}, which \"{}\" does not have", preset.source(), key, Shorten(value), name);
    }
  }
  if (server) return;
  c->preset = ImagePreset::kTensorflowEval;
  c->tensorflow_eval.rotate_180 = preset.Bool("rotate_180");
  c->tensorflow_eval.jpeg_round_trip = preset.Bool("jpeg_round_trip");
  c->tensorflow_eval.center_crop = preset.Bool("center_crop");
}

ImageProcessorConfig OneTower(int64_t size, const std::array<double, 3>& mean, const std::array<double, 3>& std) {
  ImageProcessorConfig c;
  c.image_size = size;
  c.means = {mean};
  c.stds = {std};
  for (size_t i = 0; i < 3; ++i) {
    c.towers[0].mean[i] = static_cast<float>(mean[i]);
    c.towers[0].std[i] = static_cast<float>(std[i]);
  }
  CheckImageProcessorConfig(c);
  return c;
}

}  // namespace

std::array<uint8_t, 3> ImageProcessorConfig::letterbox_fill() const {
  std::array<uint8_t, 3> fill{};
  for (size_t i = 0; i < 3; ++i) fill[i] = static_cast<uint8_t>(means.back()[i] * 255);
  return fill;
}

ImageProcessorConfig SiglipImages(int64_t image_size) {
  return OneTower(image_size, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5});
}

ImageProcessorConfig DinoImages(int64_t image_size) {
  return OneTower(image_size, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225});
}

ImageProcessorConfig OpenVlaImages(int64_t image_size) {
  ImageProcessorConfig c = DinoImages(image_size);
  const ImageProcessorConfig siglip = SiglipImages(image_size);
  c.towers = {{{0.484375f, 0.455078125f, 0.40625f}, {0.228515625f, 0.2236328125f, 0.224609375f}}, siglip.towers[0]};
  c.means.push_back(siglip.means[0]);
  c.stds.push_back(siglip.stds[0]);
  return c;
}
ImageProcessorConfig DefaultImages(const ModelConfig& model) {
  KINETOK_CHECK(!model.towers.empty());
  const PatchInput& first = *model.towers[0].patches;
  if (model.towers.size() == 2) return OpenVlaImages(first.image_size);
  const bool dino = first.timm_id.find("dino") != std::string::npos;
  return dino ? DinoImages(first.image_size) : SiglipImages(first.image_size);
}

ImageProcessorConfig ParseImageProcessorConfig(const Json& json, std::string_view source) {
  const JsonObject o(json, std::string(source));
  ImageProcessorConfig c;
  const size_t towers = ParseInputSizes(o, &c.image_size);
  c.towers.resize(towers);
  if (o.Bool("use_fused_vision_backbone") != (towers == 2)) {
    Place{o.source(), "use_fused_vision_backbone"}.Refuse(towers != 2,
                                                          fmt::format("{} ({} input_sizes)", towers == 2, towers));
  }
  c.strategy = ParseStrategy(o);
  const Json& interpolations = PerTower(o, "interpolations", towers);
  for (size_t t = 0; t < towers; ++t) {
    RequireEqual(interpolations[t], "bicubic", Place{o.source(), "interpolations"}[t], "the only one supported");
  }
  ParseNormalization(o, &c);
  CheckResizeParams(o, c);
  ParsePreset(o, &c);
  return c;
}

ImageProcessorConfig ReadImageProcessorConfig(const std::filesystem::path& file) {
  return ParseImageProcessorConfig(ParseJson(ReadFile(file), file.string()), file.string());
}

OrderedJson ImagePresetToJson(const ImageProcessorConfig& config) {
  OrderedJson preset;
  if (config.preset == ImagePreset::kServer) {
    preset["name"] = "server";
  } else {
    preset["name"] = "tensorflow-eval";
    preset["rotate_180"] = config.tensorflow_eval.rotate_180;
    preset["jpeg_round_trip"] = config.tensorflow_eval.jpeg_round_trip;
    preset["center_crop"] = config.tensorflow_eval.center_crop;
  }
  return preset;
}

OrderedJson ImageProcessorConfigToJson(const ImageProcessorConfig& config) {
  CheckImageProcessorConfig(config);
  const size_t towers = config.towers.size();
  const bool letterbox = config.strategy == ResizeStrategy::kLetterbox;
  const int64_t size = config.image_size;
  OrderedJson j;
  j["auto_map"] = {{"AutoImageProcessor", "processing_prismatic.PrismaticImageProcessor"},
                   {"AutoProcessor", "processing_prismatic.PrismaticProcessor"}};
  j["image_processor_type"] = "PrismaticImageProcessor";
  j["image_resize_strategy"] = NameOf(config.strategy);
  j["input_sizes"] = OrderedJson(towers, OrderedJson{3, size, size});
  j["interpolations"] = OrderedJson(towers, "bicubic");
  j["means"] = config.means;
  j["processor_class"] = "PrismaticProcessor";
  j["stds"] = config.stds;
  j["tvf_crop_params"] = OrderedJson(towers, OrderedJson{{"output_size", {size, size}}});
  j["tvf_do_letterbox"] = letterbox;
  j["tvf_letterbox_fill"] = letterbox ? OrderedJson(config.letterbox_fill()) : OrderedJson(nullptr);
  j["tvf_normalize_params"] = OrderedJson::array();
  j["tvf_resize_params"] = OrderedJson::array();
  for (const TowerNormalization& tower : config.towers) {
    j["tvf_normalize_params"].push_back({{"inplace", false}, {"mean", tower.mean}, {"std", tower.std}});
    j["tvf_resize_params"].push_back({{"antialias", true},
                                      {"interpolation", kPillowBicubic},
                                      {"max_size", nullptr},
                                      {"size", OrderedJson(ResizeSize(config))}});
  }
  j["use_fused_vision_backbone"] = towers == 2;
  j["kinetok_preset"] = ImagePresetToJson(config);
  return j;
}

void CheckImageProcessorConfig(const ImageProcessorConfig& config) {
  const size_t towers = config.towers.size();
  if (towers < 1 || towers > 2) Fail("image processor: {} towers, expected 1 or 2", towers);
  if (config.means.size() != towers || config.stds.size() != towers) {
    Fail("image processor: {} means and {} stds, expected {} of each, one a tower", config.means.size(),
         config.stds.size(), towers);
  }
  if (config.image_size < 1 || config.image_size > kMaxTowerImageSize) {
    Fail("image processor: image_size is {}, expected 1 to {}", config.image_size, kMaxTowerImageSize);
  }
  for (size_t t = 0; t < towers; ++t) {
    for (size_t i = 0; i < 3; ++i) {
      const double mean = config.means[t][i], std = config.stds[t][i];
      const float tower_mean = config.towers[t].mean[i], tower_std = config.towers[t].std[i];
      if (!(mean >= 0 && mean <= 1) || !(std > 0 && std <= 1) || !(tower_mean >= 0 && tower_mean <= 1) ||
          !(tower_std > 0 && tower_std <= 1)) {
        Fail(
            "image processor: tower {} has mean {} ({} unrounded) and std {} ({}), expected numbers from 0 to 1, std "
            "above 0",
            t, tower_mean, mean, tower_std, std);
      }
    }
  }
}

}  // namespace kinetok

// preprocessor_config.json for the tests and the fuzzer's seeds: the file of openvla-7b, and what may be wrong in it.
#pragma once

#include <string>
#include <vector>

#include "kinetok/base/json.h"

namespace kinetok {

inline Json OpenVlaPreprocessorConfig() {
  return Json::parse(R"({
    "auto_map": {"AutoImageProcessor": "processing_prismatic.PrismaticImageProcessor",
                 "AutoProcessor": "processing_prismatic.PrismaticProcessor"},
    "image_processor_type": "PrismaticImageProcessor", "image_resize_strategy": "resize-naive",
    "input_sizes": [[3, 224, 224], [3, 224, 224]], "interpolations": ["bicubic", "bicubic"],
    "means": [[0.485, 0.456, 0.406], [0.5, 0.5, 0.5]], "processor_class": "PrismaticProcessor",
    "stds": [[0.229, 0.224, 0.225], [0.5, 0.5, 0.5]],
    "tvf_crop_params": [{"output_size": [224, 224]}, {"output_size": [224, 224]}],
    "tvf_do_letterbox": false, "tvf_letterbox_fill": null,
    "tvf_normalize_params": [
      {"inplace": false, "mean": [0.484375, 0.455078125, 0.40625], "std": [0.228515625, 0.2236328125, 0.224609375]},
      {"inplace": false, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}],
    "tvf_resize_params": [{"antialias": true, "interpolation": 3, "max_size": null, "size": [224, 224]},
                          {"antialias": true, "interpolation": 3, "max_size": null, "size": [224, 224]}],
    "use_fused_vision_backbone": true})");
}

struct ImageConfigCase {
  std::string pointer;  // the field that gets `value`
  Json value;
  std::string error;  // part of the message
  bool remove = false;
};

inline std::vector<ImageConfigCase> FaultyImageConfigs() {
  return {
      {"/use_fused_vision_backbone", false, "\"use_fused_vision_backbone\" is false, expected true (2 input_sizes)"},
      {"/use_fused_vision_backbone", 1, "\"use_fused_vision_backbone\" is 1"},
      {"/use_fused_vision_backbone", nullptr, "\"use_fused_vision_backbone\" is missing", true},
      {"/image_resize_strategy", "stretch", "\"image_resize_strategy\" is \"stretch\", expected \"resize-naive\""},
      {"/input_sizes", nullptr, "\"input_sizes\" is missing", true},
      {"/input_sizes", Json::array(), "\"input_sizes\" is [], expected one size or two"},
      {"/input_sizes", Json{{3, 224, 224}}, "\"use_fused_vision_backbone\" is true, expected false (1 input_sizes)"},
      {"/input_sizes/1", {3, 384, 384}, "\"input_sizes[1]\" is [3,384,384], expected [3,224,224]"},
      {"/input_sizes/0", {3, 224, 225}, "\"input_sizes[0]\" is [3,224,225], expected [3, size, size]"},
      {"/input_sizes/0", {1, 224, 224}, "\"input_sizes[0]\" is [1,224,224]"},
      {"/input_sizes/0", "224", "\"input_sizes[0]\" is \"224\""},
      {"/input_sizes/0", {3, 0, 0}, "expected sizes from 1 to 2048"},
      {"/input_sizes/0", {3, 1e9, 1e9}, "\"input_sizes[0]\""},
      {"/interpolations/1", "bilinear", "\"interpolations[1]\" is \"bilinear\", expected \"bicubic\""},
      {"/interpolations", {"bicubic"}, "\"interpolations\" has 1 entries, expected 2"},
      {"/means", {{0.5, 0.5, 0.5}}, "\"means\" has 1 entries, expected 2"},
      {"/means/1", {0.5, 0.5}, "\"means[1]\" is [0.5,0.5], expected three numbers from 0 to 1"},
      {"/means/0/0", 123.7, "\"means[0]\""},
      {"/means/0/0", "x", "\"means[0]\""},
      {"/stds/0/1", 0, "\"stds[0]\""},
      {"/stds/0/1", -0.2, "\"stds[0]\""},
      {"/stds/0/1", 1e-60, "\"stds[0]\""},
      {"/tvf_normalize_params", Json::array(), "\"tvf_normalize_params\" has 0 entries, expected 2"},
      {"/tvf_normalize_params/0", {{"mean", {0.5, 0.5, 0.5}}}, "\"tvf_normalize_params[0].mean\" is [0.5,0.5,0.5]"},
      {"/tvf_normalize_params/1/std", nullptr, "\"tvf_normalize_params[1].std\" is null"},
      {"/tvf_normalize_params/1", {{"mean", {0.5, 0.5, 0.5}}}, "\"tvf_normalize_params[1].std\" is missing"},
      {"/tvf_normalize_params/1", 7, "\"tvf_normalize_params[1]\" is 7, expected an object"},
      {"/tvf_resize_params/0/size", 224, "\"tvf_resize_params[0].size\" is 224, expected [224,224]"},
      {"/tvf_resize_params/1/interpolation", 2, "\"tvf_resize_params[1].interpolation\" is 2, expected 3 (bicubic)"},
      {"/tvf_resize_params/0/antialias", false, "\"tvf_resize_params[0].antialias\" is false"},
      {"/tvf_resize_params/0/max_size", 512, "\"tvf_resize_params[0].max_size\" is 512"},
      {"/tvf_crop_params/0/output_size", {200, 200}, "\"tvf_crop_params[0].output_size\" is [200,200]"},
      {"/tvf_do_letterbox", true, "\"tvf_do_letterbox\" is true, expected false (image_resize_strategy)"},
      {"/tvf_letterbox_fill", {127, 127, 127}, "\"tvf_letterbox_fill\" is [127,127,127], expected null"},
      {"/image_resize_strategy", "letterbox", "\"tvf_resize_params[0].size\" is [224,224], expected 224"},
      {"/kinetok_preset", "server", "\"kinetok_preset\" is \"server\", expected an object"},
      {"/kinetok_preset", {{"name", "pytorch"}}, "\"name\" is \"pytorch\", expected \"server\" or"},
      {"/kinetok_preset", {{"name", "server"}, {"center_crop", true}}, "\"center_crop\" is true, which \"server\""},
      {"/kinetok_preset", {{"name", "tensorflow-eval"}}, "\"rotate_180\" is missing"},
      {"/kinetok_preset",
       {{"name", "tensorflow-eval"}, {"rotate_180", true}, {"jpeg_round_trip", 1}, {"center_crop", true}},
       "\"jpeg_round_trip\" is 1"},
      {"/kinetok_preset",
       {{"name", "tensorflow-eval"},
        {"rotate_180", true},
        {"jpeg_round_trip", true},
        {"center_crop", true},
        {"crop", 1}},
       "\"crop\" is 1, which \"tensorflow-eval\" does not have"},
  };
}

}  // namespace kinetok

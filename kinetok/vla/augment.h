// Changes of training images that leave their meaning as it is, so that a policy does not go by what will be different.
#pragma once

#include <cstdint>
#include <string_view>

#include "kinetok/io/image.h"

namespace kinetok {

// How far each change goes; 0 leaves it out. The order is that of the fields, as OpenVLA's fine-tuning applies them.
struct Augmentation {
  float crop_area = 0;   // a part of so much of the area, anywhere, brought back to the size
  float brightness = 0;  // added to every channel: up to so much of the whole range
  float contrast = 0;    // distance from each channel's mean, times 1 -+ this
  float saturation = 0;  // in HSV, times 1 -+ this
  float hue = 0;         // turned by up to this part of the circle
  bool operator==(const Augmentation&) const = default;
};

// "none"; "openvla": 0.9, 0.2, 0.2, 0.2, 0.05; "color": the same without the crop, for tasks where places count and
// the evaluation crops nothing. Throws Error listing them when `name` is another.
Augmentation ParseAugmentation(std::string_view name);

// A changed copy; how much of each is drawn from (seed, index) alone.
Image Augment(const Image& image, const Augmentation& augmentation, uint64_t seed, uint64_t index);

}  // namespace kinetok

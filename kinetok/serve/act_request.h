// The body of POST /act, as OpenVLA's clients write it, and its answer.
//
//   {"image": array, "instruction": "pick up the cup", "unnorm_key": "bridge_orig"}     array: serve/json_numpy.h
//   {"encoded": "the same as text"}
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kinetok/serve/json_numpy.h"

namespace kinetok {

struct ActRequest {
  PixelArray image;
  std::string instruction;
  std::string unnorm_key;  // empty: the request names none
  bool encoded = false;    // it came as "encoded", and so goes the answer
};

// Throws Error naming the field for everything else: a field that is missing, unknown (what a client sends and this
// policy would not look at could not but mislead) or of another type, an image of more than `max_image_pixels`, an
// instruction of more than kMaxInstructionBytes. While it runs it takes up to six times the body's memory beside it.
ActRequest ParseActRequest(std::string body, int64_t max_image_pixels);

// The action as an array; as a JSON string that holds it when the request was `encoded`.
std::string FormatAction(std::span<const double> action, bool encoded);

}  // namespace kinetok

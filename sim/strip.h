// Pictures of an episode: a strip of frames, and an animation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "kinetok/io/image.h"

namespace kinetok::sim {

struct StripOptions {
  int64_t every = 0;    // each so many steps a frame, and the last one; 0: as many as give twelve frames at most
  int64_t columns = 6;  // frames side by side
  int64_t size = 160;   // pixels of a frame's side
};

// "push the red cube left" above, "success after 12 steps" below it, and the frames with their steps. The file is
// written whole or not at all. Throws Error when there is no frame, or the file cannot be written.
void WriteStrip(const std::filesystem::path& path, std::span<const Image> frames, const std::string& title,
                const std::string& outcome, const StripOptions& options = {});

// An animated GIF that starts again at its end, each frame for so many hundredths of a second, in 252 colours. Written
// whole or not at all. Throws Error as above, and when the frames differ in size.
void WriteGif(const std::filesystem::path& path, std::span<const Image> frames, int hundredths = 20);

}  // namespace kinetok::sim

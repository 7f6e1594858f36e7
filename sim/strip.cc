#include "sim/strip.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/io/canvas.h"

namespace kinetok::sim {
namespace {

constexpr int kGap = 6, kHeader = 52, kCaption = 18;

std::vector<size_t> ChooseFrames(size_t count, int64_t every) {
  constexpr size_t kMost = 12;
  const size_t step = every > 0 ? static_cast<size_t>(every) : std::max<size_t>(1, (count + kMost - 3) / (kMost - 1));
  std::vector<size_t> chosen;
  for (size_t i = 0; i + 1 < count; i += step) chosen.push_back(i);
  chosen.push_back(count - 1);
  return chosen;
}

void Draw(canvas::Painter& painter, const Image& frame, double x, double y, double side) {
  std::vector<uint32_t> argb(static_cast<size_t>(frame.width * frame.height));
  for (size_t i = 0; i < argb.size(); ++i) {
    const uint8_t* p = &frame.pixels[3 * i];
    argb[i] = 0xFF000000U | uint32_t{p[0]} << 16 | uint32_t{p[1]} << 8 | uint32_t{p[2]};
  }
  const int width = static_cast<int>(frame.width), height = static_cast<int>(frame.height);
  const std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> surface(
      cairo_image_surface_create_for_data(reinterpret_cast<unsigned char*>(argb.data()), CAIRO_FORMAT_RGB24, width,
                                          height, 4 * width),
      cairo_surface_destroy);
  cairo_t* cr = painter.get();
  cairo_save(cr);
  cairo_translate(cr, x, y);
  cairo_scale(cr, side / width, side / height);
  cairo_set_source_surface(cr, surface.get(), 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
  cairo_paint(cr);
  cairo_restore(cr);
}

}  // namespace

void WriteStrip(const std::filesystem::path& path, std::span<const Image> frames, const std::string& title,
                const std::string& outcome, const StripOptions& options) {
  if (frames.empty()) Fail("{}: there is no frame to draw", path);
  const std::vector<size_t> chosen = ChooseFrames(frames.size(), options.every);
  const int side = static_cast<int>(options.size);
  const int columns = static_cast<int>(std::min<size_t>(chosen.size(), static_cast<size_t>(options.columns)));
  const int rows = static_cast<int>((chosen.size() + static_cast<size_t>(columns) - 1) / static_cast<size_t>(columns));
  constexpr int kNarrowest = 420;  // for the instruction
  const int width = std::max(kNarrowest, columns * (side + kGap) + kGap);
  canvas::WritePng(path, width, kHeader + rows * (side + kCaption + kGap), [&](canvas::Painter& painter) {
    painter.Use(canvas::kInk);
    painter.Font(canvas::kTitleSize, true);
    painter.Text(title, kGap, 22, 0);
    painter.Font(canvas::kLabelSize);
    painter.Text(outcome, kGap, 42, 0);
    for (size_t i = 0; i < chosen.size(); ++i) {
      const auto column = static_cast<int>(i) % columns, row = static_cast<int>(i) / columns;
      const double x = kGap + column * (side + kGap), y = kHeader + row * (side + kCaption + kGap);
      Draw(painter, frames[chosen[i]], x, y, side);
      painter.Use(canvas::kInk);
      painter.Font(canvas::kTickSize);
      painter.Text(fmt::format("{}", chosen[i]), x + side / 2.0, y + side + 13, 0.5);
    }
  });
}

}  // namespace kinetok::sim

// What charts and pictures are drawn with: colours, text and lines through cairo, into a PNG or an SVG. Internal to
// io/.
#pragma once

#include <cairo.h>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace kinetok::canvas {

struct Color {
  double r, g, b;
};

// Okabe and Ito's palette (2008), which people with any kind of colour vision tell apart; yellow is left out on white.
inline constexpr std::array<Color, 7> kPalette = {{{0.000, 0.447, 0.698},
                                                   {0.835, 0.369, 0.000},
                                                   {0.000, 0.620, 0.451},
                                                   {0.800, 0.475, 0.655},
                                                   {0.902, 0.624, 0.000},
                                                   {0.337, 0.706, 0.914},
                                                   {0.250, 0.250, 0.250}}};
inline constexpr Color kInk{0.13, 0.13, 0.15}, kGrid{0.90, 0.90, 0.92}, kAxis{0.55, 0.55, 0.58}, kPaper{1, 1, 1};
inline constexpr double kTitleSize = 18, kLabelSize = 14, kTickSize = 12, kPadding = 16;

class Painter {
 public:
  explicit Painter(cairo_surface_t* surface);
  cairo_t* get() { return cr_.get(); }

  void Font(double size, bool bold = false);
  double Width(const std::string& text);
  void Use(Color color, double alpha = 1) { cairo_set_source_rgba(get(), color.r, color.g, color.b, alpha); }
  // `anchor` 0, 0.5, 1: the text begins, is centred or ends at x. The baseline is y. The font is sans-serif, or the
  // first of a few Korean and CJK families that has every character of the text.
  void Text(const std::string& text, double x, double y, double anchor);
  void Segment(double x0, double y0, double x1, double y1);
  // A text for which no font had every character; empty when there was none.
  const std::string& without_glyphs() const { return without_glyphs_; }

 private:
  bool HasGlyphs(const std::string& text);
  void ChooseFamily(const std::string& text);
  std::unique_ptr<cairo_t, decltype(&cairo_destroy)> cr_;
  double size_ = kLabelSize;
  bool bold_ = false;
  std::string without_glyphs_;
};

// A white surface of so many pixels, drawn on and written whole or not at all. Returns Painter::without_glyphs. Throws
// Error naming the file.
using Drawing = std::function<void(Painter&)>;
std::string WritePng(const std::filesystem::path& path, int width, int height, const Drawing& draw);
std::string WriteSvg(const std::filesystem::path& path, int width, int height, const Drawing& draw);

}  // namespace kinetok::canvas

#include "kinetok/io/canvas.h"

#include <cairo-svg.h>

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"

namespace kinetok::canvas {
namespace {

using Surface = std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)>;

void Check(cairo_status_t status, const std::filesystem::path& path) {
  if (status != CAIRO_STATUS_SUCCESS) {
    Fail("{}: the chart cannot be drawn: {}", path.string(), cairo_status_to_string(status));
  }
}

cairo_status_t Append(void* closure, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

std::string Paint(cairo_surface_t* surface, const Drawing& draw, const std::filesystem::path& path) {
  Painter p(surface);
  p.Use(kPaper);
  cairo_paint(p.get());
  draw(p);
  Check(cairo_status(p.get()), path);
  return p.without_glyphs();
}

}  // namespace

Painter::Painter(cairo_surface_t* surface) : cr_(cairo_create(surface), &cairo_destroy) {}

void Painter::Font(double size, bool bold) {
  size_ = size;
  bold_ = bold;
}

// cairo draws a text in one font and shows what it lacks as boxes, so the font is chosen by the text.
void Painter::ChooseFamily(const std::string& text) {
  static constexpr const char* kFamilies[] = {"sans-serif", "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic",
                                              "UnDotum",    "Baekmuk Dotum",    "Malgun Gothic"};
  cairo_set_font_size(get(), size_);
  for (const char* family : kFamilies) {
    cairo_select_font_face(get(), family, CAIRO_FONT_SLANT_NORMAL,
                           bold_ ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
    if (ascii || HasGlyphs(text)) return;
  }
  if (without_glyphs_.empty()) without_glyphs_ = text;
  cairo_select_font_face(get(), kFamilies[0], CAIRO_FONT_SLANT_NORMAL,
                         bold_ ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
}

bool Painter::HasGlyphs(const std::string& text) {
  cairo_glyph_t* glyphs = nullptr;
  int count = 0;
  const cairo_status_t status =
      cairo_scaled_font_text_to_glyphs(cairo_get_scaled_font(get()), 0, 0, text.data(), static_cast<int>(text.size()),
                                       &glyphs, &count, nullptr, nullptr, nullptr);
  const std::unique_ptr<cairo_glyph_t, decltype(&cairo_glyph_free)> owned(glyphs, &cairo_glyph_free);
  return status == CAIRO_STATUS_SUCCESS &&
         std::none_of(glyphs, glyphs + count, [](const cairo_glyph_t& g) { return g.index == 0; });
}

double Painter::Width(const std::string& text) {
  ChooseFamily(text);
  cairo_text_extents_t extents;
  cairo_text_extents(get(), text.c_str(), &extents);
  return extents.x_advance;
}

void Painter::Text(const std::string& text, double x, double y, double anchor) {
  cairo_move_to(get(), x - anchor * Width(text), y);
  cairo_show_text(get(), text.c_str());
}

void Painter::Segment(double x0, double y0, double x1, double y1) {
  cairo_move_to(get(), x0, y0);
  cairo_line_to(get(), x1, y1);
  cairo_stroke(get());
}

std::string WritePng(const std::filesystem::path& path, int width, int height, const Drawing& draw) {
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height), &cairo_surface_destroy);
  std::string lacking = Paint(surface.get(), draw, path);
  std::string bytes;
  Check(cairo_surface_write_to_png_stream(surface.get(), &Append, &bytes), path);
  WriteFileAtomically(path, bytes);
  return lacking;
}

std::string WriteSvg(const std::filesystem::path& path, int width, int height, const Drawing& draw) {
  std::string bytes, lacking;
  {
    const Surface surface(cairo_svg_surface_create_for_stream(&Append, &bytes, width, height), &cairo_surface_destroy);
    lacking = Paint(surface.get(), draw, path);
    cairo_surface_finish(surface.get());
    Check(cairo_surface_status(surface.get()), path);
  }
  WriteFileAtomically(path, bytes);
  return lacking;
}

}  // namespace kinetok::canvas

#include "kinetok/io/picture.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/io/canvas.h"

namespace kinetok {
namespace {

using namespace canvas;

constexpr double kGap = 32, kBarHeight = 22, kBarLength = 200, kLine = 20, kMostWidth = 1100, kMostPixels = 10000;
constexpr Color kDark{0.000, 0.267, 0.533}, kHatch{0.78, 0.78, 0.80};

// A panel knows its size before it is drawn at (x, y).
struct Panel {
  double width = 0, height = 0;
  std::function<void(Painter&, double x, double y)> draw;
};

double Widest(Painter& p, const std::vector<std::string>& texts) {
  double widest = 0;
  for (const std::string& t : texts) widest = std::max(widest, p.Width(t));
  return widest;
}

double CellSize(const HeatMap& map) {
  if (map.numbers) return 36;
  return std::clamp(420.0 / static_cast<double>(std::max(map.rows.size(), map.columns.size())), 8.0, 28.0);
}

void DrawCells(Painter& p, const HeatMap& map, double left, double top, double cell) {
  for (size_t r = 0; r < map.rows.size(); ++r) {
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const double x = left + static_cast<double>(c) * cell, y = top + static_cast<double>(r) * cell;
      const double v = std::clamp(map.values[r][c], 0.0, 1.0);
      cairo_rectangle(p.get(), x, y, cell, cell);
      p.Use({1 + v * (kDark.r - 1), 1 + v * (kDark.g - 1), 1 + v * (kDark.b - 1)});
      cairo_fill_preserve(p.get());
      p.Use(kGrid);
      cairo_set_line_width(p.get(), 1);
      cairo_stroke(p.get());
      if (!map.numbers && !map.hidden.empty() && map.hidden[r][c]) {
        p.Use(kHatch);
        p.Segment(x + 0.2 * cell, y + 0.8 * cell, x + 0.8 * cell, y + 0.2 * cell);
      }
      if (!map.numbers) continue;
      p.Use(v > 0.5 ? kPaper : kInk);
      p.Font(kTickSize);
      const bool whole = v == std::floor(v);
      p.Text(whole ? fmt::format("{:.0f}", v) : fmt::format("{:.2f}", v), x + cell / 2, y + cell / 2 + kTickSize * 0.36,
             0.5);
    }
  }
}

Panel MapPanel(Painter& measure, const HeatMap& map) {
  const double cell = CellSize(map);
  measure.Font(kTickSize);
  const double side = Widest(measure, map.rows) + 8;
  // Column labels lie flat where they fit, and stand otherwise.
  const double column_width = Widest(measure, map.columns);
  const bool flat = column_width + 2 <= cell;
  const double head = flat ? kTickSize + 8 : column_width + 8;
  measure.Font(kLabelSize, true);
  const double caption = map.title.empty() ? 0 : kLabelSize + 10;
  Panel panel;
  panel.width = std::max(side + cell * static_cast<double>(map.columns.size()), measure.Width(map.title)) + 2;
  panel.height = caption + head + cell * static_cast<double>(map.rows.size()) + 2;
  panel.draw = [&map, cell, side, head, flat, caption](Painter& p, double x, double y) {
    p.Use(kInk);
    p.Font(kLabelSize, true);
    if (!map.title.empty()) p.Text(map.title, x, y + kLabelSize, 0);
    const double left = x + side, top = y + caption + head;
    p.Font(kTickSize);
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const double centre = left + (static_cast<double>(c) + 0.5) * cell;
      if (flat) {
        p.Text(map.columns[c], centre, top - 6, 0.5);
        continue;
      }
      cairo_save(p.get());
      cairo_translate(p.get(), centre + kTickSize * 0.36, top - 5);
      cairo_rotate(p.get(), -std::acos(0.0));
      p.Text(map.columns[c], 0, 0, 0);
      cairo_restore(p.get());
    }
    for (size_t r = 0; r < map.rows.size(); ++r) {
      p.Text(map.rows[r], left - 6, top + (static_cast<double>(r) + 0.5) * cell + kTickSize * 0.36, 1);
    }
    DrawCells(p, map, left, top, cell);
  };
  return panel;
}

Panel BarPanel(Painter& measure, const BarChart& chart) {
  measure.Font(kTickSize);
  const double side = Widest(measure, chart.labels) + 8, number = measure.Width("0.0000") + 8;
  measure.Font(kLabelSize, true);
  const double caption = chart.title.empty() ? 0 : kLabelSize + 10;
  Panel panel;
  panel.width = std::max(side + kBarLength + number, measure.Width(chart.title));
  panel.height = caption + kBarHeight * static_cast<double>(chart.labels.size());
  panel.draw = [&chart, side, caption](Painter& p, double x, double y) {
    p.Use(kInk);
    p.Font(kLabelSize, true);
    if (!chart.title.empty()) p.Text(chart.title, x, y + kLabelSize, 0);
    p.Font(kTickSize);
    for (size_t i = 0; i < chart.labels.size(); ++i) {
      const double top = y + caption + static_cast<double>(i) * kBarHeight;
      const double base = top + kBarHeight / 2 + kTickSize * 0.36, length = kBarLength * chart.values[i];
      p.Use(kInk);
      p.Text(chart.labels[i], x + side - 8, base, 1);
      p.Text(fmt::format("{:.3f}", chart.values[i]), x + side + length + 6, base, 0);
      p.Use(kPalette[0]);
      cairo_rectangle(p.get(), x + side, top + 3, length, kBarHeight - 6);
      cairo_fill(p.get());
    }
  };
  return panel;
}

struct Layout {
  std::vector<std::pair<double, double>> at;  // of each panel
  double width = 0, height = 0;
};

// Rows of `columns` panels; in each, a panel begins where the one above it does.
Layout Place(const std::vector<Panel>& panels, size_t columns, double top) {
  std::vector<double> widths(columns);
  for (size_t i = 0; i < panels.size(); ++i) widths[i % columns] = std::max(widths[i % columns], panels[i].width);
  Layout out;
  double y = top;
  for (size_t first = 0; first < panels.size(); first += columns) {
    double x = kPadding, tallest = 0;
    for (size_t i = first; i < std::min(first + columns, panels.size()); ++i) {
      out.at.emplace_back(x, y);
      x += widths[i - first] + kGap;
      tallest = std::max(tallest, panels[i].height);
    }
    out.width = std::max(out.width, x - kGap + kPadding);
    y += tallest + kGap;
  }
  out.height = y - kGap + kPadding;
  return out;
}

void CheckPicture(const Picture& picture, const std::filesystem::path& path) {
  if (picture.maps.empty() && picture.charts.empty()) Fail("{}: a picture without panels", path.string());
  for (const HeatMap& m : picture.maps) {
    const auto fits = [&](const auto& cells) {
      return cells.size() == m.rows.size() &&
             std::all_of(cells.begin(), cells.end(), [&](const auto& row) { return row.size() == m.columns.size(); });
    };
    if (m.rows.empty() || m.columns.empty() || !fits(m.values) || (!m.hidden.empty() && !fits(m.hidden))) {
      Fail("{}: map \"{}\" does not have a value for each of {} x {} labels", path.string(), m.title, m.rows.size(),
           m.columns.size());
    }
  }
  for (const BarChart& c : picture.charts) {
    if (c.labels.empty() || c.labels.size() != c.values.size()) {
      Fail("{}: chart \"{}\" has {} labels and {} values, expected as many of each", path.string(), c.title,
           c.labels.size(), c.values.size());
    }
  }
}

using Write = std::string (*)(const std::filesystem::path&, int, int, const Drawing&);

std::string WritePicture(const Picture& picture, const std::filesystem::path& path, Write write) {
  CheckPicture(picture, path);
  const std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> scratch(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1), &cairo_surface_destroy);
  Painter measure(scratch.get());
  std::vector<Panel> panels;
  panels.reserve(picture.maps.size() + picture.charts.size());
  for (const HeatMap& m : picture.maps) panels.push_back(MapPanel(measure, m));
  for (const BarChart& c : picture.charts) panels.push_back(BarPanel(measure, c));
  measure.Font(kTitleSize, true);
  const double top = kPadding + (picture.title.empty() ? 0 : kTitleSize + kLine);
  size_t columns = picture.columns > 0 ? static_cast<size_t>(picture.columns) : panels.size();
  Layout layout = Place(panels, columns, top);
  while (picture.columns <= 0 && columns > 1 && layout.width > kMostWidth) layout = Place(panels, --columns, top);
  const double width = std::max(layout.width, measure.Width(picture.title) + 2 * kPadding);
  if (width > kMostPixels || layout.height > kMostPixels) {
    Fail("{}: the picture needs {:.0f} x {:.0f} pixels, {:.0f} are the limit: show less at a time", path.string(),
         width, layout.height, kMostPixels);
  }
  return write(path, static_cast<int>(std::ceil(width)), static_cast<int>(std::ceil(layout.height)), [&](Painter& p) {
    p.Use(kInk);
    p.Font(kTitleSize, true);
    if (!picture.title.empty()) p.Text(picture.title, kPadding, kPadding + kTitleSize, 0);
    for (size_t i = 0; i < panels.size(); ++i) panels[i].draw(p, layout.at[i].first, layout.at[i].second);
  });
}

}  // namespace

std::string WritePicturePng(const Picture& picture, const std::filesystem::path& path) {
  return WritePicture(picture, path, &WritePng);
}

std::string WritePictureSvg(const Picture& picture, const std::filesystem::path& path) {
  return WritePicture(picture, path, &WriteSvg);
}

}  // namespace kinetok

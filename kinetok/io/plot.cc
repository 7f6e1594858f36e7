#include "kinetok/io/plot.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/io/canvas.h"

namespace kinetok {
namespace {

using namespace canvas;

// One direction of the plane: values low..high onto pixels from..to.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  double Map(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

struct Tick {
  double position;  // in the axis' values
  std::string label;
};

double XOf(const LineChart& chart, double x) {
  return chart.log_x ? std::log10(x) : x;
}

// Larger values would overflow in the differences that the axes are made of.
constexpr double kLargest = 1e300;

bool Visible(const LineChart& chart, double x, double y) {
  return std::abs(x) <= kLargest && std::abs(y) <= kLargest && (!chart.log_x || x > 0);
}

// Widens an empty or single-valued range so that it can be divided.
std::pair<double, double> Spread(double low, double high) {
  if (low > high) return {0, 1};
  if (low < high) return {low, high};
  const double margin = low == 0 ? 1 : std::abs(low) * 0.1;
  return {low - margin, high + margin};
}

std::string Number(double value, double step) {
  if (value != 0 && (std::abs(value) >= 1e6 || std::abs(value) < 1e-4)) return fmt::format("{:.4g}", value);
  const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 12);
  return fmt::format("{:.{}f}", value == 0 ? 0.0 : value, decimals);
}

std::vector<Tick> LinearTicks(double low, double high, int count) {
  std::vector<Tick> ticks;
  const std::vector<double> values = NiceTicks(low, high, count);
  const double step = values.size() > 1 ? values[1] - values[0] : 1;
  for (const double v : values) ticks.push_back({v, Number(v, step)});
  return ticks;
}

// Whole powers of ten; with fewer than three of them also their doubles and fivefolds.
std::vector<Tick> LogTicks(double low, double high) {
  std::vector<Tick> ticks;
  const int first = static_cast<int>(std::floor(low)), last = static_cast<int>(std::ceil(high));
  const bool fine = high - low < 3;
  const int stride = std::max(1, (last - first) / 10);
  for (int e = first; e <= last; e += stride) {
    for (const double m : {1.0, 2.0, 5.0}) {
      const double position = e + std::log10(m);
      if ((m > 1 && !fine) || position < low - 1e-9 || position > high + 1e-9) continue;
      const double value = m * std::pow(10, e);
      ticks.push_back({position, Number(value, value)});
    }
  }
  return ticks;
}

void DrawSeries(Painter& p, const LineChart& chart, const Series& series, Color color, const Axis& x, const Axis& y) {
  p.Use(color);
  cairo_set_line_width(p.get(), 2);
  cairo_set_line_join(p.get(), CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_cap(p.get(), CAIRO_LINE_CAP_ROUND);
  const auto dot = [&](size_t i) {
    cairo_new_path(p.get());
    cairo_arc(p.get(), x.Map(XOf(chart, series.x[i])), y.Map(series.y[i]), 3.5, 0, 2 * std::acos(-1.0));
    cairo_fill(p.get());
  };
  const size_t n = series.x.size();
  for (size_t begin = 0; begin < n;) {
    if (!Visible(chart, series.x[begin], series.y[begin])) {
      ++begin;
      continue;
    }
    size_t end = begin;
    cairo_new_path(p.get());
    while (end < n && Visible(chart, series.x[end], series.y[end])) {
      cairo_line_to(p.get(), x.Map(XOf(chart, series.x[end])), y.Map(series.y[end]));
      ++end;
    }
    cairo_stroke(p.get());
    // A few measurements are shown as such; a lone point would otherwise be invisible.
    if (n <= 40 || end - begin == 1) {
      for (size_t i = begin; i < end; ++i) dot(i);
    }
    begin = end;
  }
}

void DrawLegend(Painter& p, const LineChart& chart, double right, double top) {
  constexpr double kLine = 22, kSwatch = 26, kGap = 8, kInset = 10;
  p.Font(kTickSize);
  double widest = 0;
  int rows = 0;
  for (const Series& s : chart.series) {
    if (s.name.empty()) continue;
    widest = std::max(widest, p.Width(s.name));
    ++rows;
  }
  if (rows == 0) return;
  const double width = 2 * kInset + kSwatch + kGap + widest, height = rows * kLine + kInset;
  const double left = right - width - 12;
  top += 12;
  cairo_rectangle(p.get(), left + 0.5, top + 0.5, width, height);
  p.Use(kPaper, 0.88);
  cairo_fill_preserve(p.get());
  p.Use(kGrid);
  cairo_set_line_width(p.get(), 1);
  cairo_stroke(p.get());
  double y = top + kInset / 2 + kLine / 2;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    if (chart.series[i].name.empty()) continue;
    p.Use(kPalette[i % kPalette.size()]);
    cairo_set_line_width(p.get(), 3);
    p.Segment(left + kInset, y, left + kInset + kSwatch, y);
    p.Use(kInk);
    p.Text(chart.series[i].name, left + kInset + kSwatch + kGap, y + kTickSize * 0.36, 0);
    y += kLine;
  }
}

void Draw(const LineChart& chart, Painter& p) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  double x_low = kInf, x_high = -kInf, y_low = kInf, y_high = -kInf;
  for (const Series& s : chart.series) {
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!Visible(chart, s.x[i], s.y[i])) continue;
      x_low = std::min(x_low, XOf(chart, s.x[i]));
      x_high = std::max(x_high, XOf(chart, s.x[i]));
      y_low = std::min(y_low, s.y[i]);
      y_high = std::max(y_high, s.y[i]);
    }
  }
  std::tie(x_low, x_high) = Spread(x_low, x_high);
  std::tie(y_low, y_high) = Spread(y_low, y_high);
  const double margin = 0.05 * (y_high - y_low);
  y_low -= margin;
  y_high += margin;

  const double width = chart.width, height = chart.height;
  const auto y_ticks = LinearTicks(y_low, y_high, std::max(2, chart.height / 90));
  const auto x_ticks =
      chart.log_x ? LogTicks(x_low, x_high) : LinearTicks(x_low, x_high, std::max(2, chart.width / 120));
  p.Font(kTickSize);
  double widest = 0;
  for (const Tick& t : y_ticks) widest = std::max(widest, p.Width(t.label));
  const double left = kPadding + (chart.y_label.empty() ? 0 : kLabelSize + 10) + widest + 8;
  const double right = width - kPadding - 8;
  const double top = kPadding + (chart.title.empty() ? 0 : kTitleSize + 14);
  const double bottom = height - kPadding - kTickSize - 8 - (chart.x_label.empty() ? 0 : kLabelSize + 10);
  const Axis x{x_low, x_high, left, right}, y{y_low, y_high, bottom, top};

  cairo_set_line_width(p.get(), 1);
  for (const Tick& t : y_ticks) {
    const double at = std::round(y.Map(t.position)) + 0.5;
    p.Use(kGrid);
    p.Segment(left, at, right, at);
    p.Use(kInk);
    p.Text(t.label, left - 8, at + kTickSize * 0.36, 1);
  }
  for (const Tick& t : x_ticks) {
    const double at = std::round(x.Map(t.position)) + 0.5;
    p.Use(kGrid);
    p.Segment(at, top, at, bottom);
    p.Use(kInk);
    p.Text(t.label, at, bottom + kTickSize + 8, 0.5);
  }
  p.Use(kAxis);
  p.Segment(left, std::round(bottom) + 0.5, right, std::round(bottom) + 0.5);
  p.Segment(std::round(left) + 0.5, top, std::round(left) + 0.5, bottom);

  p.Use(kInk);
  p.Font(kTitleSize, true);
  p.Text(chart.title, left, kPadding + kTitleSize, 0);
  p.Font(kLabelSize);
  p.Text(chart.x_label, (left + right) / 2, height - kPadding, 0.5);
  cairo_save(p.get());
  cairo_translate(p.get(), kPadding + kLabelSize * 0.8, (top + bottom) / 2);
  cairo_rotate(p.get(), -std::acos(0.0));
  p.Text(chart.y_label, 0, 0, 0.5);
  cairo_restore(p.get());

  cairo_save(p.get());
  cairo_rectangle(p.get(), left - 4, top - 4, right - left + 8, bottom - top + 8);
  cairo_clip(p.get());
  for (size_t i = 0; i < chart.series.size(); ++i) {
    DrawSeries(p, chart, chart.series[i], kPalette[i % kPalette.size()], x, y);
  }
  cairo_restore(p.get());
  DrawLegend(p, chart, right, top);
}

void CheckChart(const LineChart& chart, const std::filesystem::path& path) {
  if (chart.width < 200 || chart.height < 150 || chart.width > 10000 || chart.height > 10000) {
    Fail("{}: a chart of {} x {} pixels, expected from 200 x 150 to 10000 x 10000", path.string(), chart.width,
         chart.height);
  }
  for (const Series& s : chart.series) {
    if (s.x.size() != s.y.size()) {
      Fail("{}: series \"{}\" has {} x and {} y values, expected as many of each", path.string(), s.name, s.x.size(),
           s.y.size());
    }
  }
}

}  // namespace

std::vector<double> NiceTicks(double low, double high, int count) {
  std::vector<double> ticks;
  if (!(low < high) || !std::isfinite(high - low) || count < 1) return ticks;
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double m : {1.0, 2.0, 5.0}) {
    if (m * power >= raw * (1 - 1e-9)) {
      step = m * power;
      break;
    }
  }
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  // Values so close together that a step is lost in them have no ticks to show.
  if (!(last - first < 1000)) return ticks;
  for (double k = first; k <= last; ++k) ticks.push_back(k * step);
  return ticks;
}

void WriteChartPng(const LineChart& chart, const std::filesystem::path& path) {
  CheckChart(chart, path);
  WritePng(path, chart.width, chart.height, [&](Painter& p) { Draw(chart, p); });
}

void WriteChartSvg(const LineChart& chart, const std::filesystem::path& path) {
  CheckChart(chart, path);
  WriteSvg(path, chart.width, chart.height, [&](Painter& p) { Draw(chart, p); });
}

}  // namespace kinetok

// Line charts, drawn with cairo. The same chart gives the same layout on every machine; only the font may differ.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kinetok {

struct Series {
  std::string name{};            // in the legend; empty: not listed
  std::vector<double> x{}, y{};  // of equal size; points that are not finite are left out and break the line
};

struct LineChart {
  std::string title{}, x_label{}, y_label{};
  std::vector<Series> series{};
  bool log_x = false;  // base 10; points with x <= 0 are left out
  int width = 960, height = 600;
};

// The file is written whole or not at all. Throws Error when it cannot be, or when a series' x and y differ in size.
void WriteChartPng(const LineChart& chart, const std::filesystem::path& path);
void WriteChartSvg(const LineChart& chart, const std::filesystem::path& path);

// Round positions inside [low, high] for about `count` marks: multiples of 1, 2 or 5 times a power of ten.
std::vector<double> NiceTicks(double low, double high, int count);

}  // namespace kinetok

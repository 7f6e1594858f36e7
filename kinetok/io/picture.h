// Pictures of matrices and distributions: panels of shaded cells or of bars, laid out in rows, drawn with cairo.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kinetok {

// rows x columns values in [0, 1]: 0 is white, 1 the darkest.
struct HeatMap {
  std::string title{};
  std::vector<std::string> rows{}, columns{};  // labels
  std::vector<std::vector<double>> values{};   // [rows][columns]
  std::vector<std::vector<bool>> hidden{};     // [rows][columns]: hatched, where a mask forbids to look; may be empty
  bool numbers = false;                        // written into the cells, which are not hatched then
};

struct BarChart {
  std::string title{};
  std::vector<std::string> labels{};
  std::vector<double> values{};  // in [0, 1]
};

struct Picture {
  std::string title{};
  std::vector<HeatMap> maps{};
  std::vector<BarChart> charts{};
  int columns = 0;  // panels side by side at most; 0: as many as fit into 1100 pixels
};

// The size follows from what is drawn. The file is written whole or not at all. Returns a text for which the machine
// has no font, or nothing: its characters are boxes then. Throws Error when the file cannot be written, when a panel's
// labels and values differ in number, when there is no panel, or when the picture would exceed 10000 pixels.
std::string WritePicturePng(const Picture& picture, const std::filesystem::path& path);
std::string WritePictureSvg(const Picture& picture, const std::filesystem::path& path);

}  // namespace kinetok

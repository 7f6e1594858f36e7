// A progress line for a terminal:
//   training  [=========>          ]  450/1000  45%  12.3 k tokens/s  ETA 0:42  loss 1.92  lr 9.1e-04
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace kinetok {

// 0.004 -> "0.0040", 12345 -> "12.3 k", 5.2e6 -> "5.20 M".
std::string HumanRate(double value);
// 42 -> "0:42", 3700 -> "1:01:40".
std::string HumanDuration(double seconds);

class ProgressBar {
 public:
  struct Options {
    std::string label{};
    int64_t total = 0;              // 0: unknown, no bar and no ETA
    std::string unit{};             // of the rate: "tokens"; empty: no rate is shown
    double units_per_step = 1;      // what one step of `done` counts in the rate
    bool interactive = false;       // the stream is a terminal: one line, redrawn at most ten times a second
    double plain_seconds = 0;       // otherwise: a line every so many seconds; 0: nothing
    int columns = 100;              // the line is cut to this width
    std::function<double()> now{};  // seconds; the steady clock when empty
  };
  ProgressBar(std::ostream& out, Options options);
  ~ProgressBar();  // erases an unfinished line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` steps so far; `fields` is free text behind the rest ("loss 1.92  lr 9.1e-04").
  void Update(int64_t done, std::string_view fields = {});
  void Clear();   // erases the line, so that other output can be printed; the next Update draws it again
  void Finish();  // draws the final state and ends the line

 private:
  std::string Line() const;
  void Draw();
  std::ostream& out_;
  Options options_;
  double start_ = 0, last_draw_ = 0;
  int64_t first_done_ = -1, done_ = 0;  // the rate counts from the first update: a resumed run starts late
  std::string fields_;
  bool on_screen_ = false, finished_ = false;
};

// Whether `fd` is a terminal, and its width (100 when unknown).
bool IsTerminal(int fd);
int TerminalColumns(int fd);

}  // namespace kinetok

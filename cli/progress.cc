#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace kinetok {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr int kBarCells = 24;

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The beginning of UTF-8 text that fits into `columns`, never half a character. From U+1000 on a character counts as
// two columns, which is right for Korean and never too small.
std::string Cut(const std::string& text, int columns) {
  size_t end = 0;
  for (int used = 0; end < text.size(); ++end) {
    const auto byte = static_cast<unsigned char>(text[end]);
    if ((byte & 0xC0) == 0x80) continue;
    used += byte >= 0xE1 ? 2 : 1;
    if (used > columns) break;
  }
  return text.substr(0, end);
}

}  // namespace

std::string HumanRate(double value) {
  constexpr const char* kSuffixes[] = {"", " k", " M", " G", " T"};
  int suffix = 0;
  while (std::abs(value) >= 999.5 && suffix < 4) {
    value /= 1000;
    ++suffix;
  }
  const double size = std::abs(value);
  const int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 || size == 0 ? 2 : 4;
  return fmt::format("{:.{}f}{}", value, decimals, kSuffixes[suffix]);
}

std::string HumanDuration(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "-:--";
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

ProgressBar::ProgressBar(std::ostream& out, Options options) : out_(out), options_(std::move(options)) {
  if (!options_.now) options_.now = SteadySeconds;
  start_ = options_.now();
  last_draw_ = options_.interactive ? -std::numeric_limits<double>::infinity() : start_;
}

ProgressBar::~ProgressBar() {
  Clear();
}

void ProgressBar::Update(int64_t done, std::string_view fields) {
  if (finished_) return;
  if (first_done_ < 0) {
    first_done_ = done;
    start_ = options_.now();
  }
  done_ = done;
  fields_ = fields;
  const double interval = options_.interactive ? kRedrawSeconds : options_.plain_seconds;
  if (interval > 0 && options_.now() - last_draw_ >= interval) Draw();
}

void ProgressBar::Clear() {
  if (!on_screen_) return;
  out_ << "\r\033[K" << std::flush;
  on_screen_ = false;
}

void ProgressBar::Finish() {
  if (finished_) return;
  if (options_.interactive || options_.plain_seconds > 0) Draw();
  if (options_.interactive) out_ << '\n' << std::flush;
  on_screen_ = false;
  finished_ = true;
}

std::string ProgressBar::Line() const {
  std::string line = options_.label;
  const double share =
      options_.total > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(options_.total), 0.0, 1.0) : 0;
  if (options_.total > 0) {
    if (options_.interactive) {
      const int cells = static_cast<int>(share * kBarCells);
      std::string bar(static_cast<size_t>(cells), '=');
      if (cells < kBarCells) bar += '>';
      bar.resize(kBarCells, ' ');
      line += fmt::format("  [{}]", bar);
    }
    line += fmt::format("  {}/{}  {}%", done_, options_.total, static_cast<int>(share * 100));
  } else {
    line += fmt::format("  {}", done_);
  }
  const double elapsed = options_.now() - start_;
  const double steps = static_cast<double>(done_ - std::max<int64_t>(first_done_, 0));
  if (elapsed > 0 && steps > 0) {
    if (!options_.unit.empty()) {
      line += fmt::format("  {} {}/s", HumanRate(steps * options_.units_per_step / elapsed), options_.unit);
    }
    if (options_.total > done_) {
      line += fmt::format("  ETA {}", HumanDuration(elapsed / steps * static_cast<double>(options_.total - done_)));
    } else {
      line += fmt::format("  in {}", HumanDuration(elapsed));
    }
  }
  if (!fields_.empty()) line += "  " + fields_;
  return line;
}

void ProgressBar::Draw() {
  if (options_.interactive) {
    // One column stays free: some terminals wrap when the last one is written.
    out_ << '\r' << Cut(Line(), std::max(1, options_.columns - 1)) << "\033[K" << std::flush;
    on_screen_ = true;
  } else {
    out_ << Line() << '\n' << std::flush;
  }
  last_draw_ = options_.now();
}

bool IsTerminal(int fd) {
  return isatty(fd) == 1;
}

int TerminalColumns(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

}  // namespace kinetok

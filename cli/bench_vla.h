// kinetok bench --vla: how long a robot waits for an action.
#pragma once

#include <cstdint>
#include <string>

#include "cli/cli.h"

namespace kinetok::cli {

// Acts `calls` times on one drawn image with one instruction, and prints what that took.
int BenchVla(const Common& common, const std::string& model, int64_t calls);

}  // namespace kinetok::cli

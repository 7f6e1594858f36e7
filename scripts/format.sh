#!/usr/bin/env bash
# Formats every C++ source; with --check it changes nothing and fails when it would.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(-i)
[[ ${1:-} == --check ]] && mode=(--dry-run -Werror)
find kinetok cli sim examples fuzz tests bench -name '*.h' -o -name '*.cc' | sort | xargs -r -P "$(nproc)" -n 8 clang-format "${mode[@]}"

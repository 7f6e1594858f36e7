#!/usr/bin/env bash
# Builds the tests and runs them all; arguments go to ctest (./test.sh -R tokenizer).
set -euo pipefail
cd "$(dirname "$0")"
scripts/setup.sh build test
scripts/build.sh test
start=$SECONDS
status=0
ctest --preset test --parallel "$(nproc)" "$@" || status=$?
echo "test.sh: $([[ $status == 0 ]] && echo passed || echo FAILED) in $((SECONDS - start)) s"
exit "$status"

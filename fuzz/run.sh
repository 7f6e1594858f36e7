#!/bin/sh
# fuzz/run.sh SECONDS [NAME...]: builds the fuzzers (clang) and runs each for that long, from its seeds and from what
# earlier runs found interesting (build/fuzz/corpus/NAME). Prints the edges covered; an input that breaks something is
# kept in build/fuzz/findings and the exit status is 1.
set -eu
if [ $# -lt 1 ]; then
  echo "usage: fuzz/run.sh SECONDS [NAME...]   (names: safetensors, config_json, ...)" >&2
  exit 2
fi
seconds=$1
shift
cd "$(dirname "$0")/.."
build=build/fuzz
cmake --preset fuzz > /dev/null
cmake --build "$build" --target fuzzers
"$build/fuzz/fuzz_seeds" "$build/seeds"
mkdir -p "$build/findings"
if [ $# -eq 0 ]; then
  set -- $(cd "$build/fuzz" && ls -d ./*_fuzz | sed 's|^\./||; s|_fuzz$||')
fi
status=0
for name in "$@"; do
  corpus=$build/corpus/$name
  log=$build/$name.log
  mkdir -p "$corpus" "$build/seeds/$name"
  result="no finding"
  dict=fuzz/$name.dict
  [ -f "$dict" ] || dict=fuzz/json.dict
  "$build/fuzz/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -dict="$dict" -artifact_prefix="$build/findings/$name-" -print_final_stats=1 \
    "$corpus" "$build/seeds/$name" > "$log" 2>&1 || { status=1; result="FINDING, see $log"; }
  edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$name: ${edges:-0} edges covered, ${runs:-?} runs in $seconds s, $result"
done
exit $status

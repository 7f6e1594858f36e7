#!/usr/bin/env bash
# Configures (once) and builds a preset of CMakePresets.json; everything it says goes to stderr, and nothing when there
# was nothing to do. One build of a preset at a time: a second caller waits for the first.
#   scripts/build.sh PRESET [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
folder=build/$preset
mkdir -p "$folder"
exec 9>"$folder/.lock" >&2
flock 9

log=$folder/build.log
failed() {
  grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' "$log" | tail -60
  echo "build: preset $preset failed; the whole log is $log"
  exit 1
}

# Ninja runs cmake again by itself when a CMakeLists.txt changes, but does not watch the presets.
if [[ ! -f $folder/build.ninja || CMakePresets.json -nt $folder/build.ninja ]]; then
  cmake --preset "$preset" >"$log" 2>&1 9>&- || failed
fi
targets=("$@")
((${#targets[@]})) || targets=(all)
if ninja -C "$folder" -n "${targets[@]}" 9>&- | grep -q 'no work to do'; then exit 0; fi
start=$SECONDS
echo "build: preset $preset (the first time takes some minutes)"
if [[ -t 2 ]]; then
  NINJA_STATUS="[%f/%t %es] " ninja -C "$folder" "${targets[@]}" 9>&-
else
  ninja -C "$folder" "${targets[@]}" >"$log" 2>&1 9>&- || failed
fi
echo "build: preset $preset built in $((SECONDS - start)) s"

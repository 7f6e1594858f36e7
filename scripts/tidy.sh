#!/usr/bin/env bash
# clang-tidy over the sources that changed, or over all of them:
#   scripts/tidy.sh BASE    files that differ from commit BASE (a changed header stands for one source that includes it)
#   scripts/tidy.sh --all   the whole tree
# Reads the compile commands of the preset "test"; a kernel source is checked as common code and as its AVX2 target.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=build/test
[[ -f $folder/compile_commands.json ]] || cmake --preset test >/dev/null

mapfile -t known < <(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$folder/compile_commands.json" | sort -u)
files=()
if [[ ${1:-} == --all ]]; then
  files=("${known[@]}")
else
  while read -r changed; do
    case $changed in
      *.cc) files+=("$PWD/$changed") ;;
      *.h) files+=("$({ printf '%s\0' "${known[@]}" | xargs -0 grep -lF "\"$changed\"" || true; } | head -1)") ;;
    esac
  done < <(git diff --name-only --diff-filter=d "${1:-HEAD~1}" -- kinetok cli sim examples fuzz tests bench)
fi
# Only what this preset compiles, each once.
mapfile -t files < <(comm -12 <(printf '%s\n' "${files[@]}" | sort -u) <(printf '%s\n' "${known[@]}"))
if ((${#files[@]} == 0)) || [[ -z ${files[0]} ]]; then
  echo "tidy: nothing to check"
  exit 0
fi

# Of a kernel's entries keep the common one and AVX2's: the other targets are the same text.
mkdir -p "$folder/tidy"
python3 - "$folder" <<'PY'
import json, re, sys
folder = sys.argv[1]
entries = json.load(open(f"{folder}/compile_commands.json"))
kept = [e for e in entries if not e["file"].endswith("cmake_pch.hxx.cxx")
        and ("-DKINETOK_TARGET=" not in e["command"] or "-DKINETOK_TARGET=avx2" in e["command"])]
for e in kept:  # g++'s precompiled headers are not clang's
    e["command"] = re.sub(r" -Winvalid-pch| -fpch-preprocess| -include \S*cmake_pch\.hxx", "", e["command"])
json.dump(kept, open(f"{folder}/tidy/compile_commands.json", "w"))
PY
echo "tidy: ${#files[@]} files"
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$folder/tidy" 2> >(grep -v ' warnings\? generated\.$' >&2)

#!/usr/bin/env bash
# Builds without the optional libraries (HDF5, MuJoCo, cpp-httplib), as far as they differ from others: the sources that
# change compile, and what stands in for a library defines all functions that its users may call. A whole build of the
# preset "bare" says the same in many minutes. Compares with the preset "test", which has to be built.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset bare >build/bare.log 2>&1 || { cat build/bare.log; exit 1; }

# compile SOURCE...: their commands in the preset, since building the targets would build all that they depend on
compile() {
  python3 - build/bare/compile_commands.json "$@" <<'PY'
import json, os, re, subprocess, sys
for entry in json.load(open(sys.argv[1])):
    if os.path.relpath(entry["file"]) not in sys.argv[2:]:
        continue
    output = re.search(r" -o (\S+)", entry["command"])[1]
    os.makedirs(os.path.dirname(os.path.join(entry["directory"], output)), exist_ok=True)
    if subprocess.run(entry["command"], shell=True, cwd=entry["directory"]).returncode != 0:
        sys.exit(f"bare: {entry['file']} does not compile without the optional libraries")
PY
}
functions() { nm --defined-only --extern-only "$@" | awk '$2 == "T" { print $3 }' | c++filt | grep -v '::State::' | sort -u; }
# stands_in SOURCE OTHER...: of kinetok/, without .cc
stands_in() {
  local objects=CMakeFiles/kinetok.dir/kinetok missing others=("${@:2}")
  others=("${others[@]/#/build/test/$objects/}")
  missing=$(comm -13 <(functions "build/bare/$objects/$1.cc.o") <(functions "${others[@]/%/.cc.o}"))
  [[ -z $missing ]] || { printf 'bare: kinetok/%s.cc lacks\n%s\n' "$1" "$missing" >&2; return 1; }
}

compile cli/sim.cc cli/main.cc tests/cli_sim_test.cc tests/cli_finetune_test.cc \
  kinetok/io/demonstrations_none.cc kinetok/serve/http_missing.cc
stands_in io/demonstrations_none io/demonstrations io/demonstrations_writer
stands_in serve/http_missing serve/http_connection

#!/usr/bin/env bash
# What a robot's Python gets from this build's `kinetok serve`. Skipped (77) where there is no such Python.
#   act_server_test.sh KINETOK SOURCE_DIR
set -euo pipefail
kinetok=$1 source=$2
python=$source/build/python/bin/python3
[[ -x $python ]] || python=$(command -v python3) || { echo "skipped: there is no python3"; exit 77; }
exec "$python" "$source/tools/check_act_server.py" --kinetok "$kinetok" --clients 50

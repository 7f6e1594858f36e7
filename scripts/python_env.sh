#!/usr/bin/env bash
# The Python that asks the server as robots do: build/python, a virtual environment with tools/requirements.txt. With
# nothing new it only looks. Without a network it says so and succeeds: the test that needs it is then skipped.
set -euo pipefail
[[ ${KINETOK_SKIP_SETUP:-} == 1 ]] && exit 0
cd "$(dirname "$0")/.."
wanted=tools/requirements.txt
folder=build/python
mkdir -p build
exec 9>build/.python.lock >&2
flock 9
cmp -s "$wanted" "$folder/installed.txt" && exit 0

install() {
  "$folder/bin/python3" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$folder" || return
  "$folder/bin/python3" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 15 -r "$wanted"
}
echo "python_env: installing $wanted into $folder"
if log=$(install 2>&1 9>&-); then
  cp "$wanted" "$folder/installed.txt"
else
  echo "python_env: failed, so the test with a Python client will be skipped: ${log##*$'\n'}"
fi

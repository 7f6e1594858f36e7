#!/usr/bin/env bash
# Installs what is missing of the named groups of packages.txt (default: build), and for "test" the Python of
# scripts/python_env.sh. With nothing missing it only looks: no network, no rights needed. KINETOK_SKIP_SETUP=1 skips
# it, for systems other than Debian.
#   scripts/setup.sh [build] [test] [ci]
set -euo pipefail
[[ ${KINETOK_SKIP_SETUP:-} == 1 ]] && exit 0
cd "$(dirname "$0")/.."
(($#)) || set -- build

packages=()
for group in "$@"; do
  mapfile -t of_group < <(awk -v group="$group:" '/^# [a-z]+:/ { on = $2 == group; next } on && NF { print $1 }' packages.txt)
  ((${#of_group[@]})) || { echo "setup: packages.txt has no group \"$group\"" >&2; exit 2; }
  packages+=("${of_group[@]}")
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: this is not a Debian system; install the counterparts of: ${packages[*]}" >&2
  echo "setup: then set KINETOK_SKIP_SETUP=1" >&2
  exit 1
fi
missing=()
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
for package in "${packages[@]}"; do
  grep -qxF "installed $package" <<<"$installed" || missing+=("$package")
done
install() {
  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "setup: installing packages needs root or sudo; ask for: apt-get install ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "setup: installing ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -qq >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}
if ((${#missing[@]})); then install; fi
for group in "$@"; do
  [[ $group != test ]] || scripts/python_env.sh
done

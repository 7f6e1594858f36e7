#!/usr/bin/env bash
# Objects compiled for one instruction set may define no function outside their own namespace: the linker keeps one
# copy of an inline function or template for the whole program, and if it kept theirs, code that is meant for every
# machine would run instructions that some lack.
#   isa_symbols.sh TARGET OBJECT...      (TARGET: avx2, avx512, ...)
set -euo pipefail
target=$1
shift
(($#)) || { echo "isa_symbols: no objects of target $target"; exit 1; }
# In a mangled name, the namespace is "7kinetok6avx512", or "S_6avx512" where "kinetok" was named before.
own="(7kinetok|S[0-9A-Z]*_)${#target}${target}"
functions=$(nm --defined-only --extern-only "$@" | awk '$2 ~ /^[TWi]$/ { print $3 }' | sort -u)
[[ -n $functions ]] || { echo "isa_symbols: the objects of target $target define no function: nothing was checked"; exit 1; }
strays=$(grep -vE "$own" <<<"$functions" | c++filt || true)
if [[ -n $strays ]]; then
  echo "isa_symbols: target $target defines functions that other code could be linked to:"
  sed 's/^/  /' <<<"$strays"
  exit 1
fi

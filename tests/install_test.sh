#!/usr/bin/env bash
# What `cmake --install` leaves is enough for a program of somebody else's: find_package(kinetok), the public header.
#   install_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$1 source=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/log"
"$scratch/prefix/bin/kinetok" --version
cp "$source/examples/generate.cc" "$scratch/"
cat >"$scratch/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.22)
project(somebody_elses LANGUAGES CXX)
find_package(kinetok 0.1 REQUIRED)
add_executable(generate generate.cc)
target_link_libraries(generate PRIVATE kinetok::kinetok)
CMAKE
cmake -S "$scratch" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" >>"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
cmake --build "$scratch/build" >>"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
text=$("$scratch/build/generate" "$source/models/writer" "오늘 날씨가")
[[ -n $text ]] || { echo "install_test: the installed library generated nothing"; exit 1; }
echo "$text"

#!/usr/bin/env bash
# The plan of the house, checked: a room of kinetok/ includes only from floors below it, headers do not include each
# other in circles, examples use the public header alone, and no file is longer than 500 lines.
#   scripts/check_layers.sh [ROOT]
set -euo pipefail
export LC_ALL=C
cd "${1:-$(dirname "$0")/..}"
declare -A floor=([base]=0 [tensor]=1 [kernels]=2 [text]=3 [io]=3 [model]=4 [decode]=5 [vla]=6 [train]=7 [serve]=8)
failures=0
complain() {
  echo "layers: $*"
  failures=$((failures + 1))
}

# "from to" for every quoted include of the project.
includes=$(grep -rnoE '^ *# *include +"[^"]+"' kinetok --include='*.h' --include='*.cc' |
  sed -E 's/^([^:]+):([0-9]+): *# *include +"([^"]+)"/\1 \2 \3/')
[[ -n $includes ]] || { echo "layers: found no include at all under kinetok/"; exit 1; }

while read -r from line to; do
  [[ -f $to ]] || { complain "$from:$line includes \"$to\", which is not a path from the root"; continue; }
  [[ $to == kinetok/* ]] || { complain "$from:$line includes \"$to\" from outside the library"; continue; }
  from_room=${from#kinetok/} to_room=${to#kinetok/}
  from_room=${from_room%%/*} to_room=${to_room%%/*}
  [[ $from_room == "$to_room" || $from_room == *.* ]] && continue  # kinetok/kinetok.h stands above all rooms
  [[ -n ${floor[$from_room]:-} ]] || { complain "$from: the room \"$from_room\" has no floor in $0"; continue; }
  ((${floor[$to_room]:-99} < ${floor[$from_room]})) ||
    complain "$from:$line includes \"$to\": $to_room/ is not below $from_room/"
done <<<"$includes"

circle=$(awk '$1 ~ /\.h$/ { print $1, $3 }' <<<"$includes" | tsort 2>&1 >/dev/null) || complain "headers include each other in a circle:
$circle"

while read -r from line to; do
  [[ -z $from || $to == kinetok/kinetok.h ]] || complain "$from:$line includes \"$to\": examples use kinetok/kinetok.h alone"
done < <(grep -rnoE '^ *# *include +"[^"]+"' examples --include='*.cc' --include='*.h' |
  sed -E 's/^([^:]+):([0-9]+): *# *include +"([^"]+)"/\1 \2 \3/')

while read -r lines file; do
  ((lines <= 500)) || complain "$file has $lines lines; 500 are the limit"
done < <(find kinetok cli sim examples fuzz tests bench tools scripts -type f \
  \( -name '*.h' -o -name '*.cc' -o -name '*.py' -o -name '*.sh' \) -exec wc -l {} + | grep -v ' total$')

((failures == 0)) || { echo "layers: $failures failures"; exit 1; }

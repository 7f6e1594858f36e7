#!/usr/bin/env bash
# Builds Kinetok and runs it: ./run.sh ARGS is kinetok ARGS. Without arguments the bundled models show what they can:
# one speaks, in English and in Korean, the other does what it is told in the simulator, and answers. stdout carries the
# result alone.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$root/scripts/setup.sh" build
"$root/scripts/build.sh" release
kinetok=$root/build/release/kinetok
(($#)) && exec "$kinetok" "$@"

# speak PROMPT NEW_TOKENS: the prompt, then what the model says after it as it comes; tokens per second on stderr
speak() {
  printf '%s' "$1"
  "$kinetok" generate --model models/writer --prompt "$1" --max-new-tokens "$2" --temperature 0.7 --top-p 0.9 --seed 17
}
cd "$root"
speak "ROMEO:" 200
speak "오늘 날씨가" 60

# A build without MuJoCo shows the text model alone. Either error says what is missing: a model, or the simulator.
reason=$("$kinetok" sim run 2>&1) || true
if [[ $reason == *"no simulator"* ]]; then
  echo "run.sh: the robot is left out: ${reason#kinetok: error: }" >&2
  exit 0
fi
# Strips of what happened go where the build is.
"$kinetok" sim run --model models/robot --tasks reach,push,place --episodes 3 --seed 2 --narrate --png build/episodes

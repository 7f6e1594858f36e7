#!/usr/bin/env bash
# Decode speed of models/writer with each way to choose the next token: the fastest of some rounds, in which the ways take
# turns.
#   bench/decoding.sh
# Settings (environment): KINETOK (build/release/kinetok), ROUNDS (5), THREADS (1), NEW (200). BEFORE names another
# program, which takes turns with it where it knows the flags.
set -euo pipefail
cd "$(dirname "$0")/.."
kinetok=${KINETOK:-build/release/kinetok} before=${BEFORE:-} rounds=${ROUNDS:-5} threads=${THREADS:-1} new=${NEW:-200}
ways=("--greedy" "--temperature 0.8" "--temperature 0.8 --top-k 40" "--temperature 0.8 --top-p 0.9" "--min-p 0.05"
  "--typical-p 0.9" "--greedy --repetition-penalty 1.2" "--greedy --no-repeat-ngram-size 3" "--num-beams 4" "--best-of 4")
results=$(mktemp)
trap 'rm -f "$results"' EXIT

for ((round = 1; round <= rounds; round++)); do
  for way in "${ways[@]}"; do
    for program in $before "$kinetok"; do
      read -ra flags <<<"$way"
      "$program" generate --model models/writer --prompt "ROMEO:" --max-new-tokens "$new" --threads "$threads" --json \
        --seed 7 "${flags[@]}" 2>/dev/null | sed "s|^{|{\"program\": \"$program\", \"way\": \"$way\", |" >>"$results" || true
    done
  done
done

python3 - "$results" <<'PY'
import json, sys

best, tokens = {}, {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    key = r["way"], r["program"]
    best[key] = max(best.get(key, 0), r["timings"]["decode_tokens_per_s"])
    tokens[key] = r["tokens"]
for way in dict.fromkeys(w for w, _ in best):
    programs = [p for w, p in best if w == way]
    same = "" if len(programs) < 2 else "  same tokens" if tokens[way, programs[0]] == tokens[way, programs[1]] else "  OTHER TOKENS"
    print(f"{way:36}" + "".join(f"{best[way, p]:9.0f} tok/s" for p in programs) + same)
PY

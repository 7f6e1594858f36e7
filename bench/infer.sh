#!/usr/bin/env bash
# Prefill and decode speed of kinetok on the 1.1B Llama and GPT-2 124M shapes with random weights, beside the read ceiling
# and the FMA peak that it measures in the same run.
#   bench/infer.sh [PRESET...]                                 (default: llama-1.1b gpt2-124m)
# Settings (environment): KINETOK (build/release/kinetok), ROUNDS (3), THREADS (2), DTYPES ("f32 f16 bf16"), PROMPT (256),
# NEW (32). With LLAMA_BENCH (llama.cpp's llama-bench) and LLAMA_GGUF (a model of the same shape) that one takes turns
# with kinetok, and its own table follows.
set -euo pipefail
cd "$(dirname "$0")/.."
kinetok=${KINETOK:-build/release/kinetok} rounds=${ROUNDS:-3} threads=${THREADS:-2} prompt=${PROMPT:-256} new=${NEW:-32}
(($#)) || set -- llama-1.1b gpt2-124m
results=$(mktemp) peer=$(mktemp)
trap 'rm -f "$results" "$peer"' EXIT

for ((round = 1; round <= rounds; round++)); do
  for preset in "$@"; do
    for dtype in ${DTYPES:-f32 f16 bf16}; do
      echo "infer: $preset $dtype, round $round of $rounds" >&2
      "$kinetok" bench --preset "$preset" --dtype "$dtype" -p "$prompt" -n "$new" --threads "$threads" --json |
        sed "s/^{/{\"case\": \"$preset $dtype\", /" >>"$results"
    done
  done
  if [[ -n ${LLAMA_BENCH:-} ]]; then
    "$LLAMA_BENCH" -m "$LLAMA_GGUF" -p "$prompt" -n "$new" -t "$threads" -r 1 -o md 2>/dev/null >>"$peer"
  fi
done

python3 - "$results" <<'PY'
import json, statistics, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
print(f"{'model':18} {'prefill tok/s':>13} {'of FMA peak':>11} {'decode tok/s':>12} {'GB/s':>6} {'of read ceiling':>15}")
for case in dict.fromkeys(r["case"] for r in rows):
    def mid(*keys):
        values = []
        for r in rows:
            if r["case"] == case:
                for key in keys:
                    r = r[key]
                values.append(r)
        return statistics.median(values)
    print(f"{case:18} {mid('prefill', 'tokens_per_s'):13.1f} {mid('prefill', 'share_of_fma_peak'):11.0%} "
          f"{mid('decode', 'tokens_per_s'):12.2f} {mid('decode', 'gb_per_s'):6.1f} {mid('decode', 'share_of_read_ceiling'):15.0%}")
PY
cat "$peer"

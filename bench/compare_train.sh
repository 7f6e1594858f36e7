#!/usr/bin/env bash
# Training steps of kinetok and of its peers, in turns on one machine, so that what disturbs one disturbs all.
#   bench/compare_train.sh [nano] [gpt2-64] [gpt2-512]        (default: all three)
# Settings (environment): PYTHON with torch (python3), KINETOK (build/release/kinetok), ROUNDS (3), THREADS (2), STEPS
# (of a round: 300 for nano, 8 and 4 for GPT-2), LLMC_TRAIN_GPT2 (llm.c's train_gpt2, in a folder with the checkpoint
# and the data that it reads; it is compared in gpt2-64, the only shape that it is compiled for), OUT (a file for the raw
# results, JSON lines).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} kinetok=${KINETOK:-build/release/kinetok} rounds=${ROUNDS:-3} threads=${THREADS:-2}
out=${OUT:-$(mktemp)}
: >"$out"
(($#)) || set -- nano gpt2-64 gpt2-512

# record CASE CONTESTANT: adds the JSON object on stdin to the results.
record() { sed "s/^{/{\"case\": \"$1\", \"who\": \"$2\", \"round\": $round, /" >>"$out"; }
torch() { env -u OPENBLAS_CORETYPE OMP_NUM_THREADS="$threads" "$python" "$@" --threads "$threads" 2>/dev/null; }
llmc() {  # four steps, of which the first allocates and does not count; then it is stopped
  local pipe pid line times=()
  pipe=$(mktemp -u)
  mkfifo "$pipe"
  (cd "$(dirname "$LLMC_TRAIN_GPT2")" && OMP_NUM_THREADS=$threads exec stdbuf -oL "$LLMC_TRAIN_GPT2") >"$pipe" &
  pid=$!
  while ((${#times[@]} < 4)) && read -r line; do
    [[ $line =~ took\ ([0-9.]+) ]] && times+=("${BASH_REMATCH[1]}")
  done <"$pipe"
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  rm -f "$pipe"
  printf '%s\n' "${times[@]:1}" | sort -g |
    awk '{ v[NR] = $1 } END { printf "{\"step_ms\": %f, \"tokens_per_s\": %f}\n", v[2], 256e3 / v[2] }'
}

for case in "$@"; do
  case $case in
    nano) preset=nano-char-cpu batch=12 block=64 steps=${STEPS:-300} ;;
    gpt2-64) preset=gpt2-124m batch=4 block=64 steps=${STEPS:-8} ;;
    gpt2-512) preset=gpt2-124m batch=2 block=512 steps=${STEPS:-4} ;;
    *) echo "compare_train: unknown case \"$case\"; expected nano, gpt2-64 or gpt2-512" >&2; exit 2 ;;
  esac
  for ((round = 1; round <= rounds; round++)); do
    echo "compare_train: $case, round $round of $rounds" >&2
    for mode in eager compile; do
      if [[ $case == nano ]]; then
        torch bench/torch_nano.py time --mode "$mode" --steps "$steps" | record "$case" "PyTorch, $mode"
      else
        torch bench/torch_gpt2.py --mode "$mode" --batch-size "$batch" --block-size "$block" --steps "$steps" |
          record "$case" "PyTorch, $mode"
      fi
      # Once beside each mode, so that every peer has a run of ours next to it.
      "$kinetok" bench --train --preset "$preset" --batch-size "$batch" --block-size "$block" --steps "$steps" \
        --threads "$threads" --json | record "$case" kinetok
    done
    if [[ $case == gpt2-64 && -n ${LLMC_TRAIN_GPT2:-} ]]; then llmc | record "$case" llm.c; fi
  done
done

"$python" - "$out" <<'PY'
import json, statistics, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
median = statistics.median
print(f"{'case':10} {'who':18} {'runs':>4} {'step ms':>9} {'(min)':>9} {'tokens/s':>10} {'peak GB':>8} {'of FMA peak':>11} {'time / kinetok':>15}")
for case in dict.fromkeys(r["case"] for r in rows):
    runs = {}
    for r in rows:
        if r["case"] == case:
            runs.setdefault(r["who"], []).append(r)
    ours = median(r["step_ms"] for r in runs["kinetok"])
    for who, rs in runs.items():
        ms = [r["step_ms"] for r in rs]
        memory = [r["peak_rss_gb"] for r in rs if "peak_rss_gb" in r]
        share = [r["share_of_fma_peak"] for r in rs if "share_of_fma_peak" in r]
        print(f"{case:10} {who:18} {len(rs):4} {median(ms):9.1f} {min(ms):9.1f} {median(r['tokens_per_s'] for r in rs):10.0f} "
              f"{f'{max(memory):.2f}' if memory else '':>8} {f'{median(share):.0%}' if share else '':>11} {median(ms) / ours:15.2f}")
PY

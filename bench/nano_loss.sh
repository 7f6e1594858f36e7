#!/usr/bin/env bash
# nanoGPT's CPU configuration on the characters of a text, in kinetok and in PyTorch: the loss over the whole validation
# split in blocks of 64, for each seed, and the means.
#   bench/nano_loss.sh tinyshakespeare.txt
# Settings (environment): PYTHON with torch (python3), KINETOK (build/release/kinetok), SEEDS ("1 2 3"), THREADS (2),
# WITHOUT_TORCH=1 (kinetok alone).
set -euo pipefail
(($# == 1)) || { echo "usage: bench/nano_loss.sh TEXT_FILE" >&2; exit 2; }
text=$(realpath "$1")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} kinetok=${KINETOK:-build/release/kinetok} threads=${THREADS:-2}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

loss() { sed -E 's/.*"val_loss": ?([0-9.]+).*/\1/'; }
report() {  # WHO LOSS...
  awk -v who="$1" 'BEGIN { for (i = 1; i < ARGC; i++) { sum += ARGV[i]; list = list sprintf(" %.4f", ARGV[i]) }
                           printf "%-10s mean %.4f  (%s )\n", who, sum / (ARGC - 1), list }' "${@:2}"
}

ours=() theirs=()
for seed in ${SEEDS:-1 2 3}; do
  ours+=("$("$kinetok" train --data "$text" --preset nano-char-cpu --tokenizer char --seed "$seed" --threads "$threads" \
    --eval-every 0 --save-every 0 --out "$scratch/$seed" --json 2>/dev/null | loss)")
  [[ ${WITHOUT_TORCH:-} == 1 ]] && continue
  theirs+=("$(OMP_NUM_THREADS=$threads "$python" bench/torch_nano.py train --data "$text" --seed "$seed" \
    --threads "$threads" 2>/dev/null | loss)")
done
report kinetok "${ours[@]}"
[[ ${WITHOUT_TORCH:-} == 1 ]] || report PyTorch "${theirs[@]}"

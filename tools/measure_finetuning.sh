#!/usr/bin/env bash
# How much a policy needs its demonstrations: the same number of steps on 1%, 10% and all of them, and none at all.
#   tools/measure_finetuning.sh KINETOK OUT STEPS     OUT: the folder in which tools/train_robot.sh ran (base, look)
# Trains on reaching and picking up, from the towers that can look and the decoder that can write, and prints one line a
# policy: success over the same 200 episodes.
set -euo pipefail
kinetok=$(realpath "$1")
steps=$3
cd "$2"
tasks="--tasks reach,pick"
[[ -f few.hdf5 ]] || "$kinetok" sim record --out few.hdf5 $tasks --episodes 4000 --seed 301 --noise 0.3
run() {
  "$kinetok" sim run --model "$1" $tasks --episodes 200 --seed 302 --json |
    python3 -c "import json, sys; r = json.load(sys.stdin); print(sys.argv[1], r['success_rate'], r['success_interval_95'],
      {task: score['success_rate'] for task, score in r['by_task'].items()}, flush=True)" "$2"
}
[[ -d few_none ]] || "$kinetok" finetune --model base --data few.hdf5 --out few_none --max-steps 1 --learning-rate 1e-12 \
  --dataset-name kinetok_table
run few_none "before"
for demonstrations in 40 400 4000; do
  "$kinetok" finetune --model look --data few.hdf5 --demonstrations $demonstrations --out few_$demonstrations \
    --max-steps "$steps" --learning-rate 1.5e-3 --warmup-steps 50 --schedule cosine --min-learning-rate 2e-5 --beta2 0.99 \
    --weight-decay 0.05 --batch-size 32 --val-fraction 0.02 --eval-every 500 --eval-batches 16 --dataset-name kinetok_table
  run few_$demonstrations "demonstrations $demonstrations"
done

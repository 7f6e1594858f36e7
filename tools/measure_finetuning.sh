#!/usr/bin/env bash
# How much a policy needs its demonstrations: none, 1%, 10%, and all that the stage `act` of tools/train_robot.sh has.
#   tools/measure_finetuning.sh KINETOK OUT     OUT: the folder in which that script ran (base, look, act and its data)
# The stage again, from the same towers that can look and the same decoder that can write, with fewer demonstrations and
# the words about these alone. 160 demonstrations take fewer steps: after 1,500 each has been seen 12 times. Prints one
# line a policy: success over the same 200 episodes.
set -euo pipefail
kinetok=$(realpath "$1")
cd "$2"
run() {
  "$kinetok" sim run --model "$1" --episodes 200 --seed 302 --json |
    python3 -c "import json, sys; r = json.load(sys.stdin); print(sys.argv[1], r['success_rate'], r['success_interval_95'],
      {task: score['success_rate'] for task, score in r['by_task'].items()}, flush=True)" "$2"
}
# words N: the lines about the first N demonstrations of each file
words() {
  local file
  for file in act{1,2,3,4}.{see,ask}.jsonl; do
    python3 -c "import json, sys
for line in sys.stdin:
  if int(json.loads(line)['image'].split(':')[1].removeprefix('demo_')) < $1: sys.stdout.write(line)" \
      <"$file" >"few_$1.$file"
  done
}
# train N STEPS: on the first N demonstrations of each of the four files
train() {
  words "$1"
  "$kinetok" finetune --out "few_$1" --model look --data act{1,2,3,4}.hdf5 few_"$1".act{1,2,3,4}.{see,ask}.jsonl \
    --demonstrations "$1" --data-weights demonstrations=0.55 --data-weights completions=0.45 --max-steps "$2" \
    --learning-rate 1.5e-3 --warmup-steps 50 --batch-size 32 --schedule cosine --min-learning-rate 2e-5 --beta2 0.99 \
    --weight-decay 0.05 --val-fraction 0.02 --eval-every 500 --eval-batches 16 --save-every 500 \
    --dataset-name kinetok_table
}
# One step too small to change anything: only the statistics of the actions are learned.
[[ -d few_none ]] || "$kinetok" finetune --model base --data act1.hdf5 --out few_none --max-steps 1 \
  --learning-rate 1e-12 --dataset-name kinetok_table
run few_none "before"
train 40 1500
run few_40 "160 demonstrations"
train 400 9000
run few_400 "1600 demonstrations"
run act "16000 demonstrations"

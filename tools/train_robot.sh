#!/usr/bin/env bash
# Makes models/robot from nothing but models/writer and the simulator:
#   tools/train_robot.sh KINETOK OUT [STAGE...]
# Stages, all of them in turn unless some are named: record look act correct again alone last slide export. Stopped or
# killed, the same command goes on where it was. Two cores take 3 hours and 45 minutes; see models/robot/README.md.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kinetok=$(realpath "$1")
mkdir -p "$2"
cd "$2"
shift 2
stages=("$@")
turn="--tasks push,reach,pick,pick_bar,place"  # each as often, only another one first
# The hardest come most often: a push has to see three things at once, a bar asks for a turn.
hard="--tasks push,reach,push,pick,push,pick_bar,push,place,pick_bar --partial-names 0.5"
rise="--push-slide 0"  # the expert of all stages but the last
look="$rise --questions-per-episode 1 --descriptions-per-episode 8 --patch 8"
act="$rise --questions-per-episode 6 --descriptions-per-episode 8 --plans-per-episode 6"
own="$rise --questions-per-episode 6 --descriptions-per-episode 4 --plans-per-episode 4 --policy-share 0.6 --threads 1"
alone="--questions-per-episode 6 --descriptions-per-episode 4 --plans-per-episode 6 --policy-share 1 --threads 1 $hard"
more="--questions-per-episode 6 --descriptions-per-episode 8 --plans-per-episode 6 $hard"
((${#stages[@]})) || stages=(record look act correct again alone last slide export)

# record NAME SEED EPISODES FLAG...: demonstrations, questions and descriptions, unless they are there
record() {
  local name=$1 seed=$2 episodes=$3
  shift 3
  [[ -f $name.hdf5 ]] || "$kinetok" sim record --out "$name.hdf5" --seed "$seed" --episodes "$episodes" --noise 0.3 \
    --questions "$name.ask.jsonl" --descriptions "$name.see.jsonl" "$@"
}
both() {  # two recordings side by side, since each uses one core
  "${@:1:$(($# / 2))}" &
  local first=$!
  "${@:$(($# / 2 + 1))}" &
  wait $first
  wait $!
}

# train OUT MODEL STEPS RATE WARMUP FLAG...
train() {
  local out=$1 model=$2 steps=$3 rate=$4 warmup=$5
  shift 5
  "$kinetok" finetune --out "$out" --model "$model" --max-steps "$steps" --learning-rate "$rate" --warmup-steps "$warmup" \
    --batch-size 32 --schedule cosine --min-learning-rate 2e-5 --beta2 0.99 --weight-decay 0.05 --val-fraction 0.02 \
    --eval-every 500 --eval-batches 16 --save-every 500 --dataset-name kinetok_table "$@"
}

# mean A B OUT: between two stages, which are good at different things
mean() {
  mkdir -p "$3"
  cp "$2"/{config,generation_config,preprocessor_config,tokenizer,tokenizer_config,dataset_statistics}.json "$3"/
  "$root/tools/mean_weights.py" {"$1","$2","$3"}/model.safetensors
}

for stage in "${stages[@]}"; do
  echo "stage $stage"
  case $stage in
    record)
      both record look1 101 2500 $look record look2 102 2500 $look
      both record act1 103 4000 $act record act2 104 4000 $act
      both record act3 105 4000 $act record act4 106 4000 $act
      ;;
    look)  # where things are, patch by patch and in words: nothing but pictures
      [[ -d base ]] ||
        "$kinetok" init --model-config "$root/examples/vla.json" --decoder "$root/models/writer" --seed 1 --out base
      train look base 2500 2e-3 50 --data look1.see.jsonl look2.see.jsonl
      ;;
    act)  # what to do, and still where things are
      train act look 9000 1.5e-3 50 --data act{1,2,3,4}.hdf5 act{1,2,3,4}.see.jsonl act{1,2,3,4}.ask.jsonl \
        --data-weights demonstrations=0.55 --data-weights completions=0.45
      ;;
    correct)  # the policy drives 60% of the time, the expert says what it should have done (DAgger)
      both record own1 201 1500 $own --model act record own2 202 1500 $own --model act
      train correct act 4000 7e-4 50 --data act{1,2,3,4}.hdf5 own{1,2}.hdf5 own{1,2}.see.jsonl \
        act{1,2,3,4}.ask.jsonl own{1,2}.ask.jsonl --data-weights demonstrations=0.7 --data-weights completions=0.3 \
        --export-dtype bf16
      ;;
    again)  # the same with the mistakes that are left
      both record own3 203 1500 $own $turn --model correct record own4 204 1500 $own $turn --model correct
      train again correct 5500 8e-4 50 --data act{1,2,3,4}.hdf5 own{1,2,3,4}.hdf5 own{1,2,3,4}.see.jsonl \
        act{1,2,3,4}.ask.jsonl own{1,2,3,4}.ask.jsonl --data-weights demonstrations=0.65 --data-weights completions=0.35 \
        --export-dtype bf16
      ;;
    alone)  # it drives all the time, so that it goes its circles to the end
      mean correct again both
      both record own5 205 1800 $rise $alone --model both record own6 206 1800 $rise $alone --model both
      train alone both 6500 7e-4 50 --data act{1,2}.hdf5 own{3,4,5,6}.hdf5 {act{1,2},own{3,4,5,6}}.see.jsonl \
        {act{1,2},own{3,4,5,6}}.ask.jsonl --data-weights demonstrations=0.65 --data-weights completions=0.35 \
        --export-dtype bf16
      ;;
    last)  # the same with the mistakes that are left
      both record own7 207 1800 $rise $alone --model alone record own8 208 1800 $rise $alone --model alone
      train last alone 4500 6e-4 50 --data act{1,2}.hdf5 own{3,4,5,6,7,8}.hdf5 {act{1,2},own{3,4,5,6,7,8}}.see.jsonl \
        {act{1,2},own{3,4,5,6,7,8}}.ask.jsonl --data-weights demonstrations=0.65 --data-weights completions=0.35 \
        --export-dtype bf16
      ;;
    slide)  # an expert who slides to where a push begins: whether it has to rise is more than the picture tells
      mean alone last both2
      both record act5 107 2500 $more record act6 108 2500 $more
      both record own9 209 1800 $alone --model both2 record own10 210 1800 $alone --model both2
      train slide both2 4000 6e-4 50 --data act{5,6}.hdf5 own{9,10}.hdf5 {act{5,6},own{9,10}}.see.jsonl \
        {act{5,6},own{9,10}}.ask.jsonl --data-weights demonstrations=0.65 --data-weights completions=0.35 \
        --export-dtype bf16
      ;;
    export)
      mkdir -p robot
      cp slide/{config,generation_config,preprocessor_config,tokenizer,tokenizer_config,dataset_statistics}.json \
         slide/{train_config.json,model.safetensors} robot/
      for part in look act correct again alone last slide; do
        cp $part/log.jsonl robot/$part.jsonl
        cp $part/loss.png robot/$part.png
      done
      ;;
    *)
      echo "unknown stage $stage; expected record, look, act, correct, again, alone, last, slide or export" >&2
      exit 2
      ;;
  esac
done

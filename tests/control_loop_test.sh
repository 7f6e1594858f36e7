#!/usr/bin/env bash
# After a stall the control loop does not make up for the cycles it has missed: it goes on at its own pace.
#   control_loop_test.sh EXAMPLE MODEL_DIR
set -euo pipefail
coproc loop { exec "$1" "$2" "$2/act.png" "touch the red cube"; }
pid=$loop_PID
read -r -u "${loop[0]}" line  # of 10 cycles of 200 ms
kill -STOP "$pid"
sleep 1.2
start=${EPOCHREALTIME/[.,]/}
kill -CONT "$pid"
cycles=1
while read -r -u "${loop[0]}" line; do cycles=$((cycles + 1)); done 2>/dev/null
wait "$pid"
milliseconds=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
echo "$cycles cycles, nine of them in $milliseconds ms after the stall"
((cycles == 10 && milliseconds >= 1700))

#!/usr/bin/env python3
"""Measures on a policy what the notes say about decoding for robots; by default on models/robot. Needs h5py and Pillow.

  tools/measure_acting.py KINETOK MODEL [EPISODES [SEED]]

Prints a Markdown table, one line a decoding strategy: success over the same episodes, jerk of the commanded motion, and
how far actions lie apart that are drawn 16 times in the same state (standard deviation over the draws, mean over states).
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import h5py
from PIL import Image

kinetok, model = sys.argv[1:3]
EPISODES, SEED = (sys.argv[3:] + ["200", "1"][len(sys.argv) - 3:])[:2]
STRATEGIES = {
    "greedy": ["--greedy"],
    "top-k 5": ["--top-k", "5"],
    "top-p 0.9": ["--top-p", "0.9"],
    "temperature 1": ["--temperature", "1"],
}
STATES, DRAWS = 60, 16


def run(*args, text=None):
    return subprocess.run([kinetok, *args], input=text, text=True, capture_output=True, check=True).stdout


def states(folder):
    """Pictures with instructions, spread over the expert's episodes."""
    demos = folder / "demos.hdf5"
    run("sim", "record", "--out", str(demos), "--episodes", str(STATES), "--seed", SEED + "7", "--noise", "0")
    found = []
    with h5py.File(demos) as f:
        for number, demo in enumerate(f["data"].values()):
            frames = demo["obs/agentview_rgb"]
            file = folder / f"{number}.png"
            Image.fromarray(frames[number * 7 % len(frames)]).save(file)
            found.append({"image": str(file), "instruction": demo.attrs["language_instruction"]})
    return found


def spread(requests, flags):
    lines = [json.dumps(r | {"seed": seed}) for r in requests for seed in range(DRAWS)]
    answers = [json.loads(a)["action"] for a in
               run("act", "--model", model, "--batch-file", "-", "--json", *flags, text="\n".join(lines)).splitlines()]
    groups = [answers[i: i + DRAWS] for i in range(0, len(answers), DRAWS)]
    per_axis = [[statistics.pstdev(a[axis] for a in group) for group in groups] for axis in range(7)]
    means = [statistics.mean(values) for values in per_axis]
    return 1e3 * statistics.mean(means[:3]), means[5], means[6]


def main():
    with tempfile.TemporaryDirectory() as folder:
        requests = states(pathlib.Path(folder))
        print(f"| decoding | success of {EPISODES} episodes | jerk, m/s³ | spread of a move, mm | of yaw, rad | of the gripper |")
        print("|---|---|---|---|---|---|")
        for name, flags in STRATEGIES.items():
            r = json.loads(run("sim", "run", "--model", model, "--episodes", EPISODES, "--seed", SEED, "--json", *flags))
            low, high = r["success_interval_95"]
            move, yaw, gripper = spread(requests, flags)
            print(f"| {name} | {r['success_rate']:.1%} ({low:.1%} to {high:.1%}) | {r['jerk_m_per_s3']:.2f} |"
                  f" {move:.2f} | {yaw:.3f} | {gripper:.3f} |", flush=True)


if __name__ == "__main__":
    main()

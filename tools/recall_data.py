#!/usr/bin/env python3
"""Makes the recall task: key-value pairs in the prompt, under a mapping that only the prompt reveals.

  tools/recall_data.py OUT_DIR

OUT_DIR receives
  train.txt      100,000 lines such as "q3 b7 q3 z0 b7": 1 to 16 pairs drawn from a mapping of 4 letters to digits
                 that is the line's own
  recall.jsonl   a task for `kinetok eval`: 100 groups, each a mapping that no training line shares; every key four
                 times. Shots come from the same group, so the more there are, the more often the key is among them
and the table that it prints says how often the key is, and what a perfect reader would score.
"""
import json
import math
import pathlib
import random
import sys

KEYS, COPIES, GROUPS, LINES = 4, 4, 100, 100_000


def mapping(rng):
    letters = rng.sample("abcdefghijklmnopqrstuvwxyz", KEYS)
    return {k: str(rng.randrange(10)) for k in letters}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(2024)
    tasks = [mapping(rng) for _ in range(GROUPS)]
    held_out = {frozenset(m.items()) for m in tasks}
    with open(out / "train.txt", "w", encoding="utf-8") as f:
        for _ in range(LINES):
            m = mapping(rng)
            while frozenset(m.items()) in held_out:
                m = mapping(rng)
            keys = rng.choices(list(m), k=rng.randint(1, 16))
            f.write(" ".join(k + m[k] for k in keys) + "\n")
    with open(out / "recall.jsonl", "w", encoding="utf-8") as f:
        for group, m in enumerate(tasks):
            for k in list(m) * COPIES:
                line = {"prompt": k, "choices": list("0123456789"), "answer": int(m[k]), "group": str(group)}
                f.write(json.dumps(line) + "\n")
    others = KEYS * COPIES - 1
    print("| shots | the key is among them | a perfect reader |\n|---|---|---|")
    for shots in (0, 1, 2, 4, 8):
        seen = 1 - math.comb(others - COPIES + 1, shots) / math.comb(others, shots)
        print(f"| {shots} | {seen:.1%} | {seen + (1 - seen) / 10:.1%} |")


if __name__ == "__main__":
    main()

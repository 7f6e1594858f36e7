#!/usr/bin/env python3
"""Training steps of GPT-2 124M in PyTorch, float32: milliseconds a step and the peak of resident memory.

    torch_gpt2.py --mode eager | compile --batch-size 4 --block-size 64 --steps 10

Prints one JSON object on one line. The gradient is not clipped unless --clip says so: llm.c's trainer does not either.
"""

import argparse
import json

from torch_gpt import GPT2, time_training


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--block-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--clip", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    print(json.dumps(time_training(GPT2, args.mode, args.batch_size, args.block_size, args.steps, args.clip, args.threads)))


if __name__ == "__main__":
    main()

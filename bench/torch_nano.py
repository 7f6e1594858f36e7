#!/usr/bin/env python3
"""nanoGPT's CPU configuration in PyTorch: 4 layers, 4 heads, 128 wide, 64 characters, 12 rows, no biases, no dropout.

    torch_nano.py train --data tinyshakespeare.txt --seed 1    loss over the whole validation split
    torch_nano.py time --mode eager | compile --steps 300      milliseconds a step

Each prints one JSON object on one line.
"""

import argparse
import json
import math
import sys
import time

import torch
from torch_gpt import NANO, Gpt, adamw, set_threads, time_training, train_step

BATCH, BLOCK, ITERATIONS, WARM_UP, LR, MIN_LR = 12, 64, 2000, 100, 1e-3, 1e-4


def learning_rate(step):
    if step < WARM_UP:
        return LR * (step + 1) / (WARM_UP + 1)
    done = (step - WARM_UP) / (ITERATIONS - WARM_UP)
    return MIN_LR + 0.5 * (1 + math.cos(math.pi * done)) * (LR - MIN_LR)


@torch.no_grad()
def split_loss(model, ids):
    """Mean loss over consecutive blocks, each seen from its own start, the incomplete last one included."""
    whole = (len(ids) - 1) // BLOCK * BLOCK
    x, y = ids[:whole].view(-1, BLOCK), ids[1 : whole + 1].view(-1, BLOCK)
    total = sum(model(a, b).item() * a.numel() for a, b in zip(x.split(128), y.split(128)))
    rest = len(ids) - 1 - whole
    if rest:
        total += model(ids[None, whole:-1], ids[None, whole + 1 :]).item() * rest
    return total / (len(ids) - 1)


def train(args):
    set_threads(args.threads)
    torch.manual_seed(args.seed)
    text = open(args.data, encoding="utf-8", newline="").read()
    alphabet = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = torch.tensor([alphabet[c] for c in text])
    cut = int(len(ids) * 0.9)
    train_ids, val_ids = ids[:cut], ids[cut:]
    model = Gpt(NANO)
    assert len(alphabet) == NANO.vocab_size
    parameters = list(model.parameters())
    optimizer = adamw(model)
    start = time.perf_counter()
    for step in range(args.max_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        first = torch.randint(len(train_ids) - BLOCK, (BATCH,))
        rows = train_ids[first[:, None] + torch.arange(BLOCK + 1)]
        loss = train_step(model, parameters, optimizer, (rows[:, :-1], rows[:, 1:]), clip=1.0)
        if step % 200 == 0:
            print(f"step {step}  loss {loss.item():.4f}", file=sys.stderr)
    seconds = time.perf_counter() - start
    return {"torch": torch.__version__, "seed": args.seed, "steps": args.max_steps, "val_loss": split_loss(model, val_ids),
            "seconds": seconds, "tokens_per_s": args.max_steps * BATCH * BLOCK / seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--threads", type=int, default=2)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train", parents=[common])
    command.add_argument("--data", required=True)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--max-steps", type=int, default=ITERATIONS)
    command = commands.add_parser("time", parents=[common])
    command.add_argument("--mode", choices=["eager", "compile"], default="eager")
    command.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    if args.command == "train":
        print(json.dumps(train(args)))
    else:
        print(json.dumps(time_training(NANO, args.mode, BATCH, BLOCK, args.steps, 1.0, args.threads)))


if __name__ == "__main__":
    main()

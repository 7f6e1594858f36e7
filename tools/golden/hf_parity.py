#!/usr/bin/env python3
"""Compares the logits of kinetok and of Hugging Face transformers on checkpoints that either of them wrote.

    hf_parity.py --kinetok build/release/kinetok [--preset gpt2-124m ...]     (needs torch, transformers, safetensors)

transformers writes, kinetok reads: the models of make_golden.py, in f32, f16 and bf16. kinetok writes (init), transformers
reads: the same configurations and the presets, with no missing and no unexpected tensor. transformers always computes
in float32. Prints a table; fails when a logit differs by more than 1e-4.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from make_golden import CASES, build, draw_tokens
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, logging

LIMIT = 1e-4
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def kinetok_logits(kinetok, directory, tokens):
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "logits.npy"
        subprocess.run([kinetok, "logits", "--model", directory, "--tokens", " ".join(map(str, tokens)), "--out", out],
                       check=True, stdout=subprocess.DEVNULL)
        return torch.from_numpy(np.load(out))


def compare(kinetok, directory, tokens):
    """(largest difference, largest logit); raises when transformers misses a tensor or finds one that it does not know."""
    kind = AutoModelForMaskedLM if AutoConfig.from_pretrained(directory).model_type == "bert" else AutoModelForCausalLM
    model, report = kind.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report.get(what):
            raise SystemExit(f"{directory}: transformers reports {what}: {report[what]}")
    with torch.no_grad():
        expected = model.eval()(torch.tensor([tokens])).logits[0]
    got = kinetok_logits(kinetok, directory, tokens)
    if got.shape != expected.shape or got.dtype != torch.float32:
        raise SystemExit(f"{directory}: kinetok gives {got.dtype} {list(got.shape)}, expected {list(expected.shape)}")
    return (got - expected).abs().max().item(), expected.abs().max().item()


def written_by_transformers(kinetok, scratch):
    for number, (name, config) in enumerate(CASES.items()):
        model, _, _ = build(config, 1000 + number)
        for dtype, torch_dtype in DTYPES.items():
            directory = scratch / f"transformers-{number}-{dtype}"
            model.to(torch_dtype).save_pretrained(directory)
            yield "transformers", name, dtype, *compare(kinetok, directory, draw_tokens(number, config.vocab_size))


def written_by_kinetok(kinetok, scratch, presets):
    for number, (name, config) in enumerate(CASES.items()):
        config.save_pretrained(scratch / f"config-{number}")
        for dtype in DTYPES:
            directory = scratch / f"kinetok-{number}-{dtype}"
            subprocess.run([kinetok, "init", "--model-config", scratch / f"config-{number}" / "config.json", "--dtype", dtype,
                            "--seed", str(number), "--out", directory], check=True, stdout=subprocess.DEVNULL)
            yield "kinetok", name, dtype, *compare(kinetok, directory, draw_tokens(number, config.vocab_size))
    for preset in presets:
        directory = scratch / preset
        subprocess.run([kinetok, "init", "--preset", preset, "--dtype", "f32", "--seed", "7", "--out", directory], check=True,
                       stdout=subprocess.DEVNULL)
        config = AutoConfig.from_pretrained(directory)
        tokens = draw_tokens(7, config.vocab_size, min(config.max_position_embeddings, 100))
        yield "kinetok", f"preset {preset}", "f32", *compare(kinetok, directory, tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinetok", default="build/release/kinetok")
    parser.add_argument("--preset", nargs="*", default=["tiny", "tiny-llama", "tiny-gpt1", "tiny-gpt-neo", "tiny-bert", "nano-char-cpu"])
    args = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    failures = 0
    print(f"{'written by':13} {'model':32} {'dtype':6} {'difference':>11} {'of logits up to':>16}")
    with tempfile.TemporaryDirectory() as scratch:
        for generate, arguments in ((written_by_transformers, ()), (written_by_kinetok, (args.preset,))):
            for writer, name, dtype, difference, largest in generate(args.kinetok, Path(scratch), *arguments):
                good = difference <= LIMIT
                failures += not good
                print(f"{writer:13} {name:32} {dtype:6} {difference:11.2e} {largest:16.3f}{'' if good else '  TOO FAR'}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

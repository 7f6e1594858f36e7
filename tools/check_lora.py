#!/usr/bin/env python3
"""Compares LoRA adapters with Hugging Face's peft, both ways. Needs torch, transformers and peft.

  tools/check_lora.py KINETOK MODEL TEXT_FILE      MODEL: a Llama checkpoint, such as models/writer

1. Kinetok trains an adapter, peft runs it. 2. peft draws an adapter, Kinetok runs it. 3. What each merges. Prints the
largest difference of the raw logits, and how far the adapter moves them; exits 1 when they differ by more than 1e-3.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import peft
import torch
import transformers

kinetok, model, text_file = sys.argv[1:4]
TOLERANCE = 1e-3


def run(*args):
    return subprocess.run([kinetok, *map(str, args)], text=True, capture_output=True, check=True).stdout


def kinetok_logits(folder, ids, *flags):
    out = folder / "logits.npy"
    run("logits", "--model", model, "--tokens", " ".join(map(str, ids)), "--out", out, *flags)
    return np.load(out)


def logits(network, ids):
    with torch.no_grad():
        return network(torch.tensor([ids])).logits[0].float().numpy()


def base():
    return transformers.AutoModelForCausalLM.from_pretrained(model, torch_dtype=torch.float32)


def main():
    ids = json.loads(run("tokenize", "--model", model, "--json", "--text",
                         pathlib.Path(text_file).read_text(encoding="utf-8")[:600]))["tokens"][:100]
    plain = logits(base(), ids)
    worst = 0.0
    print(f"{'adapter':34} {'moved by':>10} {'peft - kinetok':>15} {'merged':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        adapters = {}
        for targets in (["q_proj", "v_proj"], ["all-linear"]):
            out = folder / f"kinetok_{targets[0]}"
            flags = [x for t in targets for x in ("--lora-targets", t)]
            run("finetune", "--model", model, "--data", text_file, "--lora-rank", 4, *flags, "--max-steps", 30,
                "--batch-size", 4, "--block-size", 64, "--learning-rate", 1e-2, "--out", out)
            adapters[f"Kinetok's, {' '.join(targets)}"] = out
        for targets in (["q_proj", "v_proj"], "all-linear"):
            config = peft.LoraConfig(r=8, lora_alpha=16, target_modules=targets, init_lora_weights=False,
                                     task_type="CAUSAL_LM")
            torch.manual_seed(1)
            out = folder / f"peft_{targets[0]}"
            peft.get_peft_model(base(), config).save_pretrained(out)
            adapters[f"peft's, {targets if isinstance(targets, str) else ' '.join(targets)}"] = out
        for label, adapter in adapters.items():
            network = peft.PeftModel.from_pretrained(base(), adapter)
            theirs = logits(network, ids)
            beside = np.abs(theirs - kinetok_logits(folder, ids, "--adapter", adapter)).max()
            merged_folder = folder / "merged"
            run("convert", "--model", model, "--adapter", adapter, "--dtype", "f32", "--out", merged_folder, "--force")
            merged = np.abs(logits(network.merge_and_unload(), ids) - logits(
                transformers.AutoModelForCausalLM.from_pretrained(merged_folder, torch_dtype=torch.float32), ids)).max()
            print(f"{label:34} {np.abs(theirs - plain).max():10.3f} {beside:15.2e} {merged:10.2e}", flush=True)
            worst = max(worst, beside, merged)
    sys.exit(int(worst > TOLERANCE))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures models/writer on text that it has not seen.

  tools/measure_writer.py KINETOK MODEL DATA_OUT      DATA_OUT: what tools/writer_data.py wrote; needs numpy

Prints, as a Markdown table: held-out bits per byte for Korean and English; of 100 held-out Korean questions, how many
answers end by themselves (EOS within 64 tokens) and hold Hangul; repeated 4-grams, greedy and sampled; the longest span
of sampled text that stands in the training text.
"""
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

kinetok, model, data = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
BLOCK = 256  # the model's context


def run(*args, text=None):
    return subprocess.run([kinetok, *args], input=text, text=True, capture_output=True, check=True).stdout


def bits_per_byte(file):
    """Consecutive windows of the context, each from an empty cache, whose first token is not scored; ends of documents
    are predicted like any token but are no bytes."""
    text = file.read_text(encoding="utf-8")
    ids = json.loads(run("tokenize", "--model", model, "--json", text=text))["tokens"]
    nats, scored = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/logits.npy"
        for first in range(0, len(ids) - 1, BLOCK):
            window = ids[first : first + BLOCK]
            if len(window) < 2:
                break
            run("logits", "--model", model, "--tokens", " ".join(map(str, window)), "--out", out)
            logits = np.load(out).astype(np.float64)[:-1]
            peak = logits.max(axis=1, keepdims=True)
            normaliser = np.log(np.exp(logits - peak).sum(axis=1)) + peak[:, 0]
            nats += float((normaliser - logits[np.arange(len(window) - 1), window[1:]]).sum())
            scored += len(window) - 1
    return nats / scored * len(ids) / math.log(2) / len(text.replace("<|endoftext|>", "").encode())


def generate(prompts, *flags):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        for p in prompts:
            f.write(json.dumps(p, ensure_ascii=False) + "\n")
        f.flush()
        lines = run("generate", "--model", model, "--batch-file", f.name, "--json", *flags).splitlines()
    return [json.loads(line) for line in lines[: len(prompts)]]


def repeated(results):
    """The share of 4-grams of ids that stood earlier in the same text."""
    seen_again = total = 0
    for r in results:
        grams = [tuple(r["tokens"][i : i + 4]) for i in range(len(r["tokens"]) - 3)]
        total += len(grams)
        seen_again += len(grams) - len(set(grams))
    return seen_again / max(1, total)


def longest_copied(texts, corpus):
    best = ""
    for t in texts:
        start = 0
        for end in range(1, len(t) + 1):
            while end - start > len(best) and t[start:end] not in corpus:
                start += 1
            if end - start > len(best):
                best = t[start:end]
    return best


def main():
    questions = [json.loads(line) for line in open(data / "prompts.jsonl", encoding="utf-8")]
    corpus = "".join((data / "train" / f).read_text(encoding="utf-8") for f in ("korean.txt", "shakespeare.txt"))
    sampled = ("--temperature", "0.8", "--top-p", "0.95", "--seed", "1")
    answers = generate([q + "\n" for q in questions], *sampled, "--max-new-tokens", "64")
    plays = generate(["ROMEO:", "JULIET:", "First Citizen:", "KING RICHARD III:"], *sampled, "--max-new-tokens", "240")
    greedy = generate(["ROMEO:", "JULIET:", "First Citizen:", "KING RICHARD III:"], "--greedy", "--max-new-tokens", "240")
    ended = sum(r["finish_reason"] == "eos" for r in answers)
    korean = sum(bool(re.search("[가-힣]", r["text"])) for r in answers)
    copied = longest_copied([r["text"] for r in plays], corpus)
    rows = [
        ("held-out bits per byte, Korean", f"{bits_per_byte(data / 'val/korean.txt'):.3f}"),
        ("held-out bits per byte, English", f"{bits_per_byte(data / 'val/shakespeare.txt'):.3f}"),
        ("answers to 100 unseen Korean questions that end by themselves", ended),
        ("of these answers, in Hangul", korean),
        ("repeated 4-grams, greedy (4 x 240 tokens)", f"{repeated(greedy):.1%}"),
        ("repeated 4-grams, temperature 0.8, top-p 0.95", f"{repeated(plays):.1%}"),
        ("longest span of these samples in the training text", f"{len(copied)} characters: {copied.strip()!r}"),
    ]
    print("| measured | value |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    for q, a in list(zip(questions, answers))[:8]:
        print(f"\n    {q}\n    {a['text'].strip()}")


if __name__ == "__main__":
    main()

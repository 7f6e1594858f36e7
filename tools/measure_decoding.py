#!/usr/bin/env python3
"""Measures on a model what the notes say about decoding; by default on models/writer.

  tools/measure_decoding.py KINETOK MODEL DATA_OUT      DATA_OUT: what tools/writer_data.py wrote

Prints three Markdown tables:
  repeated 4-grams of ids within a text, for greedy, beam search and sampling
  odd words: the share of English words in sampled text that the training text never has, by temperature
  how many tokens top-p keeps, position by position over held-out text, beside a fixed k
"""
import json
import re
import statistics
import tempfile

from measure_writer import data, model, repeated, run  # which reads the same command line

SPEAKERS = ["ROMEO:", "JULIET:", "First Citizen:", "KING RICHARD III:", "MENENIUS:", "DUKE VINCENTIO:", "GLOUCESTER:",
            "PETRUCHIO:"]


def generate(*flags):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        f.write("".join(json.dumps(p) + "\n" for p in SPEAKERS))
        f.flush()
        lines = run("generate", "--model", model, "--batch-file", f.name, "--max-new-tokens", "200", *flags)
    return [json.loads(line) for line in lines.splitlines()]


def words(text):
    return re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower())


def main():
    strategies = {
        "greedy": ["--greedy"],
        "beam search, 4 beams": ["--num-beams", "4"],
        "sampling, top-p 0.9": ["--top-p", "0.9", "--seed", "1"],
        "sampling, top-k 40": ["--top-k", "40", "--seed", "1"],
        "sampling": ["--seed", "1"],
    }
    print(f"| strategy | repeated 4-grams ({len(SPEAKERS)} texts of 200 tokens) |\n|---|---|")
    for name, flags in strategies.items():
        print(f"| {name} | {repeated(generate(*flags)):.1%} |")

    known = set(words((data / "train/shakespeare.txt").read_text(encoding="utf-8")))
    held_out = words((data / "val/shakespeare.txt").read_text(encoding="utf-8"))
    unknown = sum(w not in known for w in held_out) / len(held_out)
    print(f"\n| temperature | words that the training text lacks (held-out text: {unknown:.1%}) | repeated 4-grams |")
    print("|---|---|---|")
    for t in ("0", "0.5", "0.8", "1", "1.2", "1.5", "2"):
        results = [r for seed in "123" for r in generate("--temperature", t, "--seed", seed)]
        # The first and last word may be parts of one.
        texts = [words(r["text"])[1:-1] for r in results]
        count = sum(map(len, texts))
        print(f"| {t} | {sum(w not in known for ws in texts for w in ws) / count:.1%} of {count} |"
              f" {repeated(results):.1%} |")

    ids = json.loads(run("tokenize", "--model", model, "--json", "--text",
                         (data / "val/shakespeare.txt").read_text(encoding="utf-8")[:4000]))["tokens"]
    sizes = {"0.5": [], "0.9": [], "0.95": []}
    mass = {10: [], 40: []}  # probability that a fixed k keeps
    for end in range(8, 248, 4):
        prompt = " ".join(map(str, ids[:end]))
        full = json.loads(run("explain", "decoding", "--model", model, "--tokens", prompt, "--json", "--temperature", "1"))
        p = [t["p"] for t in full["kept"]]
        for k in mass:
            mass[k].append(sum(p[:k]))
        for top_p, out in sizes.items():
            kept = json.loads(run("explain", "decoding", "--model", model, "--tokens", prompt, "--json", "--top-p", top_p))
            out.append(len(kept["kept"]))
    print(f"\n| over {len(mass[10])} positions | smallest | median | largest |\n|---|---|---|---|")
    for top_p, out in sizes.items():
        print(f"| tokens that top-p {top_p} keeps | {min(out)} | {statistics.median(out):.0f} | {max(out)} |")
    for k, out in mass.items():
        print(f"| probability that top-k {k} keeps | {min(out):.1%} | {statistics.median(out):.1%} | {max(out):.1%} |")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How fast `kinetok tokenize` encodes a text, beside `tokenizers` and `tiktoken`: one thread, in turn, medians.

    pip install tokenizers==0.23.3 tiktoken sentencepiece
    bench/tokenizers.py [--kinetok build/release/kinetok] [--data ../shared/data] [--rounds 9]

Kinetok's time is the one that it reports (timings.encode_s), of a process of its own each time; the others are timed around
their call, after one to warm up. Files are not read within any of these times.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
sys.path[:] = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import compare_tokenizers as reference  # noqa: E402
import tiktoken  # noqa: E402
from tiktoken.load import data_gym_to_mergeable_bpe_ranks  # noqa: E402

GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


def timed(call, text):
    start = time.perf_counter()
    ids = call(text)
    return time.perf_counter() - start, ids


def kinetok(program, tokenizer, path):
    command = [program, "tokenize", "--tokenizer", str(tokenizer), "--no-parse-special", "--json"]
    with open(path, "rb") as text:
        out = json.loads(subprocess.run(command, stdin=text, stdout=subprocess.PIPE, check=True).stdout)
    return out["timings"]["encode_s"], out["tokens"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinetok", default="build/release/kinetok")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=9)
    flags = parser.parse_args()
    path = flags.data / "text/tinyshakespeare.txt"
    text = path.read_text("utf8")
    megabytes = len(text.encode()) / 1e6
    for name in ("gpt2", "gpt1", "llama2/openvla_tokenizer.json", "llama2/tokenizer.model", "bert"):
        file = flags.data / name
        loaded = reference.load_reference(file)
        other = "sentencepiece" if isinstance(loaded, reference.SentencePiece) else "tokenizers"
        calls = {other: lambda t: loaded.encode([t])[0]}
        if other == "tokenizers":
            calls[other] = lambda t: loaded.tokenizer.encode(t, add_special_tokens=False).ids
        if name == "gpt2":
            ranks = data_gym_to_mergeable_bpe_ranks(str(file / "vocab.bpe"), str(file / "encoder.json"))
            encoding = tiktoken.Encoding("gpt2", pat_str=GPT2, mergeable_ranks=ranks, special_tokens={})
            calls["tiktoken"] = encoding.encode_ordinary
        calls = {other: timed_call(call) for other, call in calls.items()}
        calls["kinetok"] = lambda _: kinetok(flags.kinetok, file, path)
        times = {key: [] for key in calls}
        results = {key: call(text)[1] for key, call in calls.items()}  # to warm up
        if any(ids != results["kinetok"] for ids in results.values()):
            sys.exit(f"{name}: the ids differ")
        for _ in range(flags.rounds):
            for key, call in calls.items():
                times[key].append(call(text)[0])
        median = {key: statistics.median(values) for key, values in times.items()}
        print(f"{name}: " + ", ".join(f"{key} {megabytes / seconds:.1f} MB/s" for key, seconds in median.items()) + "; "
              + ", ".join(f"{statistics.median(a / b for a, b in zip(times[key], times['kinetok'])):.1f} times {key}"
                          for key in median if key != "kinetok"))


def timed_call(call):
    return lambda text: timed(call, text)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares `kinetok tokenize` with Hugging Face's `tokenizers` on random strings; prints the differences.

    pip install tokenizers==0.23.3
    tools/compare_tokenizers.py --kinetok build/release/kinetok --tokenizer DIR_OR_FILE [--count 100000] [--seed 1]

The folder holds tokenizer.json, or GPT-2's encoder.json + vocab.bpe (or vocab.json + merges.txt). For a character-level
tokenizer the strings are drawn from its own characters. Exit status 1 when an id or a decoded text differs.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, ByteLevelBPETokenizer, Tokenizer

WORDS = ["the", "I'm", "we'll", "DON'T", "it's", "'re", "''", "오늘", "날씨가", "좋네요", "ㅋㅋ", "한국어", "日本語", "Straße",
         "naïve", "½", "Ⅷ", "٣", "2024", "3.14", "x=1;", "://", "😀", "👩‍👩‍👧‍👦", "e\u0301", "\u200b", "\u3000", "\u00a0",
         "\u0085", "\u2028", "\u180e", "\ufeff", "\ufffd", "<|endoftext|>", "<|endof", "<", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", ""]
RANGES = [(0, 0x7F), (0x80, 0x24F), (0x250, 0x2FFF), (0x3000, 0xD7FF), (0xAC00, 0xD7A3), (0xE000, 0xFFFF),
          (0x10000, 0x323FF), (0xE0000, 0x10FFFF)]


def random_text(rng, characters):
    if characters:
        return "".join(rng.choice(characters) for _ in range(rng.randint(0, 60)))
    kind = rng.random()
    if kind < 0.5:
        parts = []
        for _ in range(rng.randint(0, 16)):
            parts.append(rng.choice(WORDS) if rng.random() < 0.8 else chr(rng.randint(*RANGES[0])))
            parts.append(rng.choice(SPACES))
        return "".join(parts)
    if kind < 0.9:
        span = rng.choice(RANGES)
        points = [rng.randint(*(span if rng.random() < 0.7 else rng.choice(RANGES))) for _ in range(rng.randint(0, 40))]
        return "".join(chr(c) for c in points if not 0xD800 <= c <= 0xDFFF)
    return rng.choice(["a", "ab", "the ", "가", "!?", " ", "\n", "1", "ㅋ"]) * rng.randint(1, 300)


def load_reference(path):
    if path.is_dir() and (path / "tokenizer.json").exists():
        path = path / "tokenizer.json"
    if path.is_file():
        return Tokenizer.from_file(str(path))
    for vocabulary, merges in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        if (path / vocabulary).exists():
            reference = ByteLevelBPETokenizer(str(path / vocabulary), str(path / merges))
            reference.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
            return reference._tokenizer
    sys.exit(f"{path}: no tokenizer is here")


def run(arguments, lines):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf8") as batch:
        batch.writelines(json.dumps(line) + "\n" for line in lines)
        batch.flush()
        done = subprocess.run([*arguments, "--batch-file", batch.name], stdout=subprocess.PIPE, check=True)
    out = [json.loads(line) for line in done.stdout.decode("utf8").split("\n") if line]
    if len(out) != len(lines):
        sys.exit(f"{len(lines)} lines went in, {len(out)} came out")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinetok", default="build/release/kinetok")
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()

    reference = load_reference(flags.tokenizer)
    model = json.loads(reference.to_str())["model"]
    characters = [piece for piece in model["vocab"] if len(piece) == 1] if model["type"] == "WordLevel" else None
    rng = random.Random(flags.seed)
    texts = [random_text(rng, characters) for _ in range(flags.count)]
    command = [flags.kinetok, "tokenize", "--tokenizer", str(flags.tokenizer)]

    differences = 0
    expected = [encoding.ids for encoding in reference.encode_batch(texts, add_special_tokens=False)]
    for text, want, got in zip(texts, expected, run(command, texts)):
        if want != got:
            differences += 1
            if differences <= 10:
                print(f"{text!r}: expected {want}, got {got}")
    print(f"encoded: {differences} of {len(texts)} strings differ ({sum(map(len, expected))} ids)")

    size = max(reference.get_vocab().values()) + 1
    sequences = [[rng.randrange(size) for _ in range(rng.randint(0, 12))] for _ in range(flags.count // 10)]
    sequences += expected[: flags.count // 10]
    wrong = 0
    for ids, got in zip(sequences, run([*command, "--decode"], sequences)):
        want = reference.decode(ids, skip_special_tokens=False)
        if want != got:
            wrong += 1
            if wrong <= 10:
                print(f"{ids}: expected {want!r}, got {got!r}")
    print(f"decoded: {wrong} of {len(sequences)} sequences differ")
    sys.exit(1 if differences or wrong else 0)


if __name__ == "__main__":
    main()

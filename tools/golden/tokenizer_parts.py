#!/usr/bin/env python3
"""Writes tests/golden/tokenizers.json: what Hugging Face's `tokenizers` gives for every part that a tokenizer.json may
hold, and for GPT-1's, Llama 2's and BERT's published vocabularies.

    pip install tokenizers==0.23.3 && tools/golden/tokenizer_parts.py ../shared/data > tests/golden/tokenizers.json

A part is shown by a BPE model whose pieces are the 256 bytes alone, with "|" after a word: its ids spell the normalized
text and the words. Of a text with samples of all of Unicode only the SHA-256 of the ids is kept.
"""
import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import compare_tokenizers as reference  # noqa: E402
import tokenizers  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

VERSION = "0.23.3"
TEXTS = ["", "Hello, World!", "  two  spaces\tand\n", "오늘 날씨가 좋네요", "한글 \u1112\u1161\u11ab", "Ünïcödé ÅÅ İ ΣΑΣ ﬁ",
         "中文字a日本", "a\u0301\u0323 q\u0323\u0307", "12 3.5 Ⅷ½ ٣", "x\u0000\u0007\u00ad\ufffdy\u200b", "▁a ▁ b", "😀👩‍👩‍👧",
         "it's 'Tis we'll!? (a-b)_c", "[MASK]<tok>a <tok> x<tok>"]
SAMPLE = "".join(chr(c) + "a " for c in range(3, 0x110000, 11) if not 0xD800 <= c <= 0xDFFF)

NORMALIZERS = [
    {"type": "Lowercase"}, {"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"}, {"type": "StripAccents"},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": False, "lowercase": True},
    {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    {"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "Strip", "strip_left": False, "strip_right": True},
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
]
PRE_TOKENIZERS = [
    {"type": "BertPreTokenizer"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"},
    {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False},
    *({"type": "Punctuation", "behavior": b} for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                                       "Contiguous")),
    *({"type": "Split", "pattern": {"String": "l"}, "behavior": b, "invert": i}
      for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous") for i in (False, True)),
    *({"type": "Metaspace", "replacement": "▁", "prepend_scheme": p, "split": s}
      for p in ("always", "first", "never") for s in (False, True)),
    {"type": "Split", "pattern": {"Regex": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"},
     "behavior": "Isolated", "invert": False},
    {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}]},
]
FLAGS = [{"single_word": True}, {"lstrip": True, "rstrip": True}, {"normalized": True}, {"special": True}]
DECODERS = [
    None, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "WordPiece", "prefix": "##", "cleanup": False},
    {"type": "BPEDecoder", "suffix": "</w>"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}, {"type": "Fuse"}, {"type": "ByteFallback"},
    {"type": "Strip", "content": "a", "start": 1, "stop": 0},
    {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                      {"type": "ByteFallback"}, {"type": "Fuse"},
                                      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
]
PIECES = ["▁a", "b</w>", "##c", "a", "Ġd", "<0xEC>", "<0x98>", "<0xA4>", "<0xFF>", ".", "n't", "'", "do", "not", "▁▁", "é", "가",
          "a▁b", "</w>"]
DECODED = [[], [0], [0, 1, 2, 3], [3, 1, 1, 9], [4, 3, 4], [5, 6, 7], [5, 6], [5, 6, 7, 8], [8, 5, 6, 7, 3], [5, 3, 6, 7],
           [12, 13, 10, 11, 3, 9], [14, 0, 14], [15, 16, 17], [18, 1, 18, 3, 18], [3, 11, 3, 12, 10]]


def with_parts(normalizer=None, pre_tokenizer=None, added=()):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added), "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": "|", "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
                      "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": []}}


def digest(ids):
    return hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest()


def encoded(parts, sample):
    tokenizer = Tokenizer.from_str(json.dumps(with_parts(**parts)))
    case = {**parts, "ids": [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]}
    if sample:
        case["sample"] = digest(tokenizer.encode(SAMPLE, add_special_tokens=False).ids)
    return case


def decoded(decoder):
    json_text = with_parts()
    json_text["decoder"] = decoder
    json_text["model"].update(vocab={piece: i for i, piece in enumerate(PIECES)}, end_of_word_suffix=None, byte_fallback=False)
    tokenizer = Tokenizer.from_str(json.dumps(json_text))
    return {"decoder": decoder, "texts": [tokenizer.decode(ids, skip_special_tokens=False) for ids in DECODED]}


def published(folder, name):
    tokenizer = reference.load_reference(folder / name)
    ids = tokenizer.encode([*TEXTS, SAMPLE])
    return {"path": name, "ids": ids[:-1], "sample": digest(ids[-1]), "texts": [tokenizer.decode(i) for i in ids[:-1]]}


def main():
    if tokenizers.__version__ != VERSION:
        sys.exit(f"tokenizers is {tokenizers.__version__}, the golden file is made with {VERSION}")
    folder = pathlib.Path(sys.argv[1])
    added = [[{"id": 256, "content": "<tok>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
               "special": False, **flags}] for flags in FLAGS]
    golden = {
        "texts": TEXTS,
        "encoded": [encoded({"normalizer": n}, True) for n in NORMALIZERS]
        + [encoded({"pre_tokenizer": p}, True) for p in PRE_TOKENIZERS]
        + [encoded({"normalizer": NORMALIZERS[0], "added": a}, False) for a in added],
        "pieces": PIECES, "decoded_ids": DECODED, "decoded": [decoded(d) for d in DECODERS],
        "published": [published(folder, name) for name in ("gpt1", "gpt2", "llama2/openvla_tokenizer.json", "bert")],
    }
    text = json.dumps(golden, ensure_ascii=True, separators=(",", ":"))
    print(text.replace('{"normalizer"', '\n{"normalizer"').replace('{"pre_tok', '\n{"pre_tok').replace('{"decoder"', '\n{"decoder"')
          .replace('{"path"', '\n{"path"'))


if __name__ == "__main__":
    main()

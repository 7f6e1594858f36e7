#!/usr/bin/env python3
"""Writes tests/golden/processors.json and tests/golden/beams.json: what Hugging Face transformers' logits processors
keep, and what its beam search finds, on logits and models whose numbers need no file.

    make_decoding_golden.py tests/golden          (needs torch, transformers and numpy)

Logits: element i of row r with seed s is the sum of the four draws (w >> 12) / 2^20 whose w are the first words of the
Philox blocks for counter (i, 0, 4 r + 0..3, 5) and key s, minus 2, times a power of two: exact in float32. The
processors run on them in double precision. No probability comes within 1e-6 of a boundary of top-p, typical-p or min-p
(an assertion), so the kept sets must be identical.

Models: those of make_golden.py, in double precision (beam search itself adds in single precision, as it always does).
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import GenerationConfig, GPT2Config, LlamaConfig
from transformers.generation import logits_process as hf

from make_golden import GPT2, LLAMA, build, draw_tokens, first_words

SEED = 77
EOS = [3, 7]


def draw_logits(row, vocab, scale):
    words = [first_words(SEED, 4 * row + k, vocab) >> np.uint64(12) for k in range(4)]
    values = (sum(w.astype(np.float64) / 2**20 for w in words) - 2) * scale
    assert np.array_equal(values, values.astype(np.float32))
    return torch.from_numpy(values)[None]


def draw_history(row, vocab, count):
    return [t % 6 if i % 3 else t for i, t in enumerate(draw_tokens(SEED + row, vocab, count))]


def warpers(options):
    """The chain of `generate` in its order: (name, warper)."""
    chain = {"temperature": hf.TemperatureLogitsWarper, "top_k": hf.TopKLogitsWarper, "top_p": hf.TopPLogitsWarper,
             "min_p": hf.MinPLogitsWarper, "typical_p": hf.TypicalLogitsWarper}
    return [(name, warper(options[name])) for name, warper in chain.items() if name in options]


def processors(options, prompt_tokens):
    out = []
    if "logit_bias" in options:
        out.append(hf.SequenceBiasLogitsProcessor([[[t], b] for t, b in options["logit_bias"]]))
    if "repetition_penalty" in options:
        out.append(hf.RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
    if "no_repeat_ngram_size" in options:
        out.append(hf.NoRepeatNGramLogitsProcessor(options["no_repeat_ngram_size"]))
    if "bad_words" in options:
        out.append(hf.NoBadWordsLogitsProcessor(options["bad_words"]))
    if "min_new_tokens" in options:
        out.append(hf.MinNewTokensLengthLogitsProcessor(prompt_tokens, options["min_new_tokens"], EOS))
    if "allowed_tokens" in options:
        out.append(hf.PrefixConstrainedLogitsProcessor(lambda batch, ids: options["allowed_tokens"], 1))
    return out


def assert_away_from_the_boundary(scores, name, threshold):
    """`scores` are what the filter `name` is about to see."""
    p = torch.softmax(scores[0], -1)
    log_p = p.clamp_min(1e-300).log()
    if name == "min_p":
        ratio = p / p.max()
        assert (ratio[ratio < 1] - threshold).abs().min() > 1e-6, (name, threshold)
    if name in ("top_p", "typical_p"):
        distance = -p if name == "top_p" else (-log_p + (p * log_p).sum()).abs()
        assert (p[distance.argsort()].cumsum(-1) - threshold).abs().min() > 1e-6, (name, threshold)


FILTERS = ([{"temperature": t} for t in (0.3, 0.7, 1.5)] + [{"top_k": k} for k in (1, 5, 40, 400)] +
           [{"top_p": p} for p in (0.01, 0.3, 0.7, 0.9, 0.99)] + [{"min_p": p} for p in (0.01, 0.1, 0.5, 1.0)] +
           [{"typical_p": p} for p in (0.05, 0.2, 0.5, 0.9, 0.98)] +
           [{"temperature": 0.7, "top_k": 30, "top_p": 0.9}, {"top_k": 20, "typical_p": 0.7},
            {"temperature": 1.3, "top_p": 0.95, "min_p": 0.05}, {"top_p": 0.8, "typical_p": 0.8},
            {"temperature": 0.8, "top_k": 50, "top_p": 0.95, "min_p": 0.02, "typical_p": 0.9}])
PROCESSORS = [{"logit_bias": [[5, 2.5], [6, -1.0], [40, 0.75]]}, {"repetition_penalty": 1.3},
              {"repetition_penalty": 0.7}] + [{"no_repeat_ngram_size": n} for n in (1, 2, 3, 4)] + [
    {"bad_words": [[9], [1, 2], [0, 4, 5], [2, 3]]}, {"min_new_tokens": 11}, {"min_new_tokens": 10},
    {"allowed_tokens": [0, 3, 17, 44]},
    {"logit_bias": [[1, 4.0], [12, 3.0]], "repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "bad_words": [[12]],
     "min_new_tokens": 20, "temperature": 0.9, "top_k": 25, "top_p": 0.9}]


def processor_cases():
    cases, row = [], 0
    for options in FILTERS + PROCESSORS:
        for vocab, scale in ((50, 4), (1000, 8)):
            row += 1
            tokens = draw_history(row, vocab, 30)
            prompt_tokens = 20
            scores = draw_logits(row, vocab, scale)
            ids = torch.tensor([tokens])
            for processor in processors(options, prompt_tokens):
                scores = processor(ids, scores)
            values = scores[0].tolist()
            for name, warper in warpers(options):
                assert_away_from_the_boundary(scores, name, options[name])
                scores = warper(ids, scores)
            p = torch.softmax(scores[0], -1)
            case = {"row": row, "vocab": vocab, "scale": scale, "options": options, "tokens": tokens,
                    "prompt_tokens": prompt_tokens, "kept": torch.isfinite(scores[0]).nonzero()[:, 0].tolist(),
                    "entropy": -sum(x * math.log(x) for x in p.tolist() if x > 0)}
            if options in PROCESSORS:  # the logits that they changed, banned ones apart
                raw = draw_logits(row, vocab, scale)[0].tolist()
                case["changed"] = [[i, v] for i, v in enumerate(values) if v != raw[i] and math.isfinite(v)]
            cases.append(case)
    return cases


BEAM_MODELS = {"gpt2": GPT2Config(**GPT2), "llama": LlamaConfig(**LLAMA)}
MANY = list(range(5, 200, 4))
BEAM_CASES = [
    dict(model="gpt2", eos=None, num_beams=2),
    dict(model="gpt2", eos=[17], num_beams=4),
    dict(model="gpt2", eos=MANY, num_beams=4),
    dict(model="gpt2", eos=MANY, num_beams=4, length_penalty=2.0),
    dict(model="gpt2", eos=MANY, num_beams=4, length_penalty=0.0),
    dict(model="gpt2", eos=MANY, num_beams=4, length_penalty=-1.0),
    dict(model="gpt2", eos=MANY, num_beams=2, early_stopping=False),  # these three differ
    dict(model="gpt2", eos=MANY, num_beams=2, early_stopping=True),
    dict(model="gpt2", eos=MANY, num_beams=2, early_stopping="never"),
    dict(model="gpt2", eos=MANY, num_beams=5, repetition_penalty=1.3, min_new_tokens=4),
    dict(model="llama", eos=None, num_beams=3),
    dict(model="llama", eos=MANY, num_beams=5),
    dict(model="llama", eos=MANY, num_beams=5, early_stopping=True),
    dict(model="llama", eos=MANY, num_beams=5, early_stopping="never", length_penalty=1.5),
    dict(model="llama", eos=MANY, num_beams=5, early_stopping="never", length_penalty=-0.5),
    dict(model="llama", eos=MANY[:2], num_beams=4, bad_words_ids=[[112], [63, 37], [64, 147]], no_repeat_ngram_size=1),
    dict(model="llama", eos=MANY[:9], num_beams=4, no_repeat_ngram_size=2),
    dict(model="llama", eos=MANY, num_beams=2, max_new_tokens=1),
    dict(model="llama", eos=MANY[:9], num_beams=4, sequence_bias=[[[5], 1.5], [[18], -4.0]], prompt=70),
]


def beam_case(models, settings):
    settings = dict(settings)
    model = models[settings["model"]][0]
    length = settings.pop("prompt", 9)
    prompts = [draw_tokens(seed, 211, length) for seed in (501, 502)]  # of one length: no padding
    name, eos = settings.pop("model"), settings.pop("eos")
    settings.setdefault("max_new_tokens", 20)
    beams = settings["num_beams"]
    config = GenerationConfig(do_sample=False, use_cache=True, num_return_sequences=beams, pad_token_id=210,
                              eos_token_id=eos, return_dict_in_generate=True, output_scores=True, **settings)
    with torch.no_grad():
        out = model.generate(torch.tensor(prompts), attention_mask=torch.ones(2, len(prompts[0]), dtype=torch.int64),
                             generation_config=config)
    results = []
    for i in range(2):
        results.append([])
        for b in range(beams):
            tokens = out.sequences[i * beams + b, len(prompts[0]):].tolist()
            ends = [k for k, t in enumerate(tokens) if t in (eos or [])]
            tokens = tokens[:ends[0] + 1] if ends else tokens
            results[-1].append({"tokens": tokens, "score": float(f"{out.sequences_scores[i * beams + b]:.8g}")})
    return {"model": name, "eos": eos or [], "options": settings, "prompts": prompts, "results": results}


def beam_models():
    models = {}
    for i, (name, config) in enumerate(BEAM_MODELS.items()):
        model, tensors, _ = build(config, 2000 + i)
        config.architectures = [type(model).__name__]
        models[name] = model, {"seed": 2000 + i, "dtype": "f32", "config": json.loads(config.to_json_string()),
                               "tensors": tensors}
    return models


def write(path, head, cases):
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(dict({"made_by": "tools/golden/make_decoding_golden.py"}, **head))[:-1])
        file.write(', "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


def main():
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    write(folder / "processors.json", {"seed": SEED, "eos": EOS}, processor_cases())
    models = beam_models()
    beams = [beam_case(models, c) for c in BEAM_CASES]
    stopping = [c["results"] for c in beams if "early_stopping" in c["options"] and c["model"] == "gpt2"]
    assert all(a != b for i, a in enumerate(stopping) for b in stopping[:i])
    write(folder / "beams.json", {"models": {name: m[1] for name, m in models.items()}}, beams)


if __name__ == "__main__":
    main()

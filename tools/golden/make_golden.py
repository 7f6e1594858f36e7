#!/usr/bin/env python3
"""Writes tests/golden/parity.json: logits of Hugging Face transformers for small models whose weights need no file.

    make_golden.py tests/golden/parity.json          (needs torch, transformers and numpy)

The weights come from Philox4x32-10, as in kinetok/base/random.h: with the case's seed as key, element i of tensor
number a (in the order of the sorted names) is drawn from the first word w of the block for counter (low(i), high(i),
a, 5):  (w >> 12) / 2^20 - 0.5, a number in [-0.5, 0.5), divided by 4, plus 1 for the weights of norms. All of these are
exact in float32. Transformers computes in double precision (its norms and rotary tables in single precision, as it
always does), and kinetok/model/golden_test.cc compares.
"""

import json
import sys

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

POSITIONS = [0, 1, 31, 63, 64, 79]  # those of which logits are kept: attention walks its keys in blocks of 64
TOKENS = 80
KEPT = 48  # logits of a position that are kept, spread over the vocabulary

TOKENLESS = {"bos_token_id": None, "eos_token_id": None}
GPT2 = dict(TOKENLESS, vocab_size=211, n_positions=96, n_embd=64, n_layer=2, n_head=4)
LLAMA = dict(TOKENLESS, vocab_size=211, max_position_embeddings=96, hidden_size=64, intermediate_size=176,
             num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5)
CASES = {
    "gpt2": GPT2Config(**GPT2),
    "gpt2 of odd widths": GPT2Config(**(GPT2 | dict(n_embd=60, n_head=5, n_inner=101, vocab_size=131, n_layer=3))),
    "gpt2 untied, erf": GPT2Config(**GPT2, tie_word_embeddings=False, activation_function="gelu",
                                   layer_norm_epsilon=1e-6),
    "gpt2 with unscaled scores": GPT2Config(**(GPT2 | dict(n_embd=20, n_head=1)), scale_attn_weights=False),
    "llama, 4 heads on 2": LlamaConfig(**LLAMA),
    "llama tied, 6 heads on 1": LlamaConfig(**(LLAMA | dict(
        hidden_size=48, num_attention_heads=6, num_key_value_heads=1, head_dim=10, intermediate_size=77, vocab_size=97)),
        tie_word_embeddings=True),
    "llama with biases, rope 500000": LlamaConfig(**(LLAMA | dict(
        hidden_size=66, num_attention_heads=3, num_key_value_heads=3, intermediate_size=45, rms_norm_eps=1e-6)),
        attention_bias=True, mlp_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
}


def first_words(seed, a, count):
    """The first words of the Philox blocks for (kTest, a, 0..count)."""
    i = np.arange(count, dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    c = [i & low, i >> np.uint64(32), np.full_like(i, a), np.full_like(i, 5)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & low,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c[0]


def is_norm_weight(name):
    return name.endswith((".ln_1.weight", ".ln_2.weight", ".ln_f.weight", "norm.weight"))


def draw(seed, a, name, shape):
    words = first_words(seed, a, int(np.prod(shape)))
    values = ((words >> np.uint64(12)).astype(np.float64) / 2**20 - 0.5) / 4 + (1 if is_norm_weight(name) else 0)
    assert np.array_equal(values, values.astype(np.float32))
    return values.reshape(shape)


def build(config, seed):
    """The model with drawn weights (double precision), and its tensors [(name, shape)] in the order of the draw."""
    model = (GPT2LMHeadModel if config.model_type == "gpt2" else LlamaForCausalLM)(config).double().eval()
    state = {n: p for n, p in model.state_dict().items() if not (config.tie_word_embeddings and n == "lm_head.weight")}
    tensors = [(name, list(state[name].shape)) for name in sorted(state)]
    with torch.no_grad():
        for a, (name, shape) in enumerate(tensors):
            state[name].copy_(torch.from_numpy(draw(seed, a, name, shape)))
    return model, tensors


def draw_tokens(seed, vocab_size, count=TOKENS):
    return [int(w) * vocab_size >> 32 for w in first_words(seed, 0xFFFFFFFF, count)]


def case(name, config, seed):
    model, tensors = build(config, seed)
    config.architectures = [type(model).__name__]
    tokens = draw_tokens(seed, config.vocab_size)
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].double()
    ids = [i * config.vocab_size // KEPT for i in range(KEPT)]
    return {"name": name, "seed": seed, "config": json.loads(config.to_json_string()), "tensors": tensors,
            "tokens": tokens, "ids": ids, "largest": float(logits.abs().max()),
            "logits": [{"position": p, "values": [float(f"{logits[p, i].item():.9g}") for i in ids]} for p in POSITIONS]}


def main():
    torch.set_num_threads(1)
    cases = [case(name, config, 1000 + i) for i, (name, config) in enumerate(CASES.items())]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write('{"made_by": "tools/golden/make_golden.py", "cases": [\n')
        file.write(",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()

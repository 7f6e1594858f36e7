#!/usr/bin/env python3
"""Writes tests/golden/parity.json: logits and greedy continuations of Hugging Face transformers for small models whose
weights need no file.

    make_golden.py tests/golden/parity.json          (needs torch, transformers and numpy; versions.txt says which)

The weights come from Philox4x32-10, as in kinetok/base/random.h: with the case's seed as key, element i of tensor
number a (in the order of the sorted names) is drawn from the first word w of the block for counter (low(i), high(i),
a, 5):  u = (w >> 12) / 2^20 - 0.5, a number in [-0.5, 0.5). Embeddings are u / 16, so that a norm's eps matters (GPT-1's
positions u, or its texts would repeat one word); all else, biases too, u / 2, and the weights of norms 1 + u / 2. All of these are exact in float32; a case of another dtype
rounds them to it, once. Transformers then computes in double precision (Llama's norms and rotary tables and GPT-Neo's
scores in single precision, as it always does). Each position keeps the logits of KEPT ids; of a causal model also the
greedy continuation, whose every choice leads by more than twice the error that the test allows.
"""

import hashlib
import json
import sys

import numpy as np
import torch
from transformers import (BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, GPTNeoConfig, GPTNeoForCausalLM,
                          LlamaConfig, LlamaForCausalLM, OpenAIGPTConfig, OpenAIGPTLMHeadModel)

from philox import first_words

TOKENS = 80      # attention walks its keys in blocks of 64
KEPT = 12        # logits of a position that are kept
PROMPT = 8       # tokens that the greedy continuation starts from
CONTINUED = 200
DIVERSE = 12     # different ids in a continuation
BOUND = 1e-5     # of the largest logit: what the test allows
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
CLASSES = {"gpt2": GPT2LMHeadModel, "llama": LlamaForCausalLM, "openai-gpt": OpenAIGPTLMHeadModel,
           "gpt_neo": GPTNeoForCausalLM, "bert": BertForMaskedLM}

TOKENLESS = {"bos_token_id": None, "eos_token_id": None}
GPT1 = dict(TOKENLESS, vocab_size=211, n_positions=224, n_embd=64, n_layer=2, n_head=4)
GPT2 = dict(TOKENLESS, vocab_size=211, n_positions=224, n_embd=64, n_layer=2, n_head=4)
GPT_NEO = dict(TOKENLESS, vocab_size=211, max_position_embeddings=224, hidden_size=64, num_layers=2, num_heads=4,
               attention_types=[[["global", "local"], 1]], window_size=16)
LLAMA = dict(TOKENLESS, vocab_size=211, max_position_embeddings=224, hidden_size=64, intermediate_size=176,
             num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5)
BERT = dict(vocab_size=211, max_position_embeddings=96, hidden_size=64, intermediate_size=256, num_hidden_layers=2,
            num_attention_heads=4)
CASES = {
    "gpt1": OpenAIGPTConfig(**GPT1),
    "gpt1 of odd widths": OpenAIGPTConfig(**(GPT1 | dict(n_embd=60, n_head=5, vocab_size=131, n_layer=3)), afn="swish"),
    "gpt2": GPT2Config(**GPT2),
    "gpt2 of odd widths": GPT2Config(**(GPT2 | dict(n_embd=60, n_head=5, n_inner=101, vocab_size=131, n_layer=3))),
    "gpt2 untied, erf": GPT2Config(**GPT2, tie_word_embeddings=False, activation_function="gelu",
                                   layer_norm_epsilon=1e-6),
    "gpt2 with unscaled scores": GPT2Config(**(GPT2 | dict(n_embd=20, n_head=1)), scale_attn_weights=False),
    "gpt neo": GPTNeoConfig(**GPT_NEO),
    "gpt neo of odd widths, window 5": GPTNeoConfig(**(GPT_NEO | dict(
        hidden_size=36, num_heads=3, intermediate_size=77, vocab_size=131, num_layers=3, window_size=5,
        attention_types=[[["local", "global", "local"], 1]])), activation_function="gelu"),
    "gpt neo untied": GPTNeoConfig(**(GPT_NEO | dict(num_layers=4, attention_types=[[["global", "local"], 2]])),
                                   tie_word_embeddings=False),
    "llama, 4 heads on 2": LlamaConfig(**LLAMA),
    "llama tied, 6 heads on 1": LlamaConfig(**(LLAMA | dict(
        hidden_size=48, num_attention_heads=6, num_key_value_heads=1, head_dim=10, intermediate_size=77, vocab_size=97)),
        tie_word_embeddings=True),
    "llama with biases, rope 500000": LlamaConfig(**(LLAMA | dict(
        hidden_size=66, num_attention_heads=3, num_key_value_heads=3, intermediate_size=45, rms_norm_eps=1e-6)),
        attention_bias=True, mlp_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
    "llama, rope scaled linearly": LlamaConfig(**LLAMA, rope_parameters={
        "rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}),
    "llama, rope scaled as llama 3": LlamaConfig(**LLAMA, rope_parameters={
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64}),
    "bert": BertConfig(**BERT),
    "bert of odd widths, one segment": BertConfig(**(BERT | dict(
        hidden_size=60, num_attention_heads=5, intermediate_size=101, vocab_size=131, num_hidden_layers=3)),
        type_vocab_size=1, layer_norm_eps=1e-6),
    "bert untied, tanh": BertConfig(**BERT, tie_word_embeddings=False, hidden_act="gelu_new"),
}
HALVED = ["gpt1", "gpt2", "gpt neo", "llama, 4 heads on 2", "bert"]  # also with f16 and bf16 weights


def is_norm_weight(name):
    return name.endswith((".ln_1.weight", ".ln_2.weight", ".ln_f.weight", "norm.weight", "LayerNorm.weight"))


def is_embedding(name):
    return "embed" in name and "LayerNorm" not in name or name.endswith((".wte.weight", ".wpe.weight"))


def draw(seed, a, name, shape):
    u = (first_words(seed, a, int(np.prod(shape))) >> np.uint64(12)).astype(np.float64) / 2**20 - 0.5
    if "positions_embed" in name:
        return u.reshape(shape)
    values = 1 + u / 2 if is_norm_weight(name) else u / 16 if is_embedding(name) else u / 2
    assert np.array_equal(values, values.astype(np.float32))
    return values.reshape(shape)


def stored_tensors(model):
    """What a file holds: every tensor once, copies under a second name and buffers left out."""
    tensors, seen = {}, set()
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name in sorted(parameters):
        copy = name in ("lm_head.weight", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
        if copy and any(parameters[name] is p for other, p in parameters.items() if other != name):
            continue
        if id(parameters[name]) not in seen:
            seen.add(id(parameters[name]))
            tensors[name] = parameters[name]
    return tensors


def build(config, seed, dtype=torch.float32):
    """The model with drawn weights (double precision), its tensors [(name, shape)] in the order of the draw, and the
    SHA-256 of their float32 bytes in that order."""
    config._attn_implementation = "eager"
    model = CLASSES[config.model_type](config).double().eval()
    state, hasher = stored_tensors(model), hashlib.sha256()
    tensors = [(name, list(state[name].shape)) for name in state]
    with torch.no_grad():
        for a, (name, shape) in enumerate(tensors):
            values = torch.from_numpy(draw(seed, a, name, shape)).to(dtype)
            hasher.update(values.float().numpy().tobytes())
            state[name].copy_(values)
    return model, tensors, hasher.hexdigest()


def draw_tokens(seed, vocab_size, count=TOKENS):
    return [int(w) * vocab_size >> 32 for w in first_words(seed, 0xFFFFFFFF, count)]


def continue_greedily(model, prompt):
    """The continuation, and the smallest lead of a chosen token over the next in units of the largest logit."""
    tokens, lead, past = list(prompt), float("inf"), None  # GPT-1 has no cache and reads all tokens anew
    with torch.no_grad():
        for _ in range(CONTINUED):
            out = model(torch.tensor([tokens if past is None else tokens[-1:]]), **({} if past is None else {"cache": past}))
            past, logits = out.get("cache", out.get("past_key_values")), out.logits[0, -1].double()
            first, second = logits.topk(2).values.tolist()
            lead = min(lead, (first - second) / float(logits.abs().max()))
            tokens.append(int(logits.argmax()))
    return tokens[len(prompt):], lead


def ids_at(position, vocab_size):
    return [(i * vocab_size // KEPT + position) % vocab_size for i in range(KEPT)]


def case(name, config, number, dtype):
    for seed in range(1000 + number, 100000, 100):
        model, tensors, digest = build(config, seed, DTYPES[dtype])
        tokens = draw_tokens(seed, config.vocab_size)
        greedy, lead = ([], 1) if config.model_type == "bert" else continue_greedily(model, tokens[:PROMPT])
        if config.model_type == "bert" or lead > 4 * BOUND and len(set(greedy)) >= DIVERSE:
            break
    config.architectures = [type(model).__name__]
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].double()
    values = [[float(f"{logits[p, i].item():.8g}") for i in ids_at(p, config.vocab_size)] for p in range(TOKENS)]
    print(f"{name:34} {dtype:5} seed {seed}, largest logit {logits.abs().max():.3f}, smallest lead {lead:.1e}, "
          f"{len(set(greedy))} ids in the continuation")
    return {"name": name, "dtype": dtype, "seed": seed, "config": json.loads(config.to_json_string()),
            "tensors": tensors, "sha256": digest, "tokens": tokens, "largest": float(logits.abs().max()),
            "logits": values, "prompt": PROMPT, "greedy": greedy}


def main():
    torch.set_num_threads(1)
    cases = [case(name, config, i, dtype) for i, (name, config) in enumerate(CASES.items())
             for dtype in (DTYPES if name in HALVED else ["f32"])]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write('{"made_by": "tools/golden/make_golden.py", "cases": [\n')
        file.write(",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()

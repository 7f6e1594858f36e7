"""Ten steps of PyTorch's AdamW on one batch of a tiny GPT-2: writes tests/golden/overfit.json.

    python tools/golden/overfit.py tests/golden/overfit.json

Weights and tokens come from an integer formula that kinetok/train/overfit_test.cc has too. Needs torch, transformers.
"""

import json
import sys

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

VOCAB, WIDTH, LAYERS, HEADS, CONTEXT, BATCH, STEPS = 96, 32, 2, 4, 16, 4, 10
OPTIONS = {"learning_rate": 3e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1, "grad_clip": 1.0}


def values(count, salt, scale):
    i = torch.arange(count, dtype=torch.int64)
    return ((i * 7919 + salt * 104729) % 2003 - 1001).to(torch.float32) / 1001 * scale


def fill(parameter, salt, transposed=False):
    shape = parameter.shape[::-1] if transposed else parameter.shape
    data = values(parameter.numel(), salt, 0.1 if parameter.dim() == 1 else 0.2).reshape(shape)
    parameter.data.copy_(data.t() if transposed else data)


def main():
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
                   resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    model.train()
    order = [("embedding.weight", model.transformer.wte.weight, False),
             ("position.weight", model.transformer.wpe.weight, False)]
    for l, h in enumerate(model.transformer.h):
        for name, p, transposed in [
                ("norm1.weight", h.ln_1.weight, False), ("norm1.bias", h.ln_1.bias, False),
                ("qkv.weight", h.attn.c_attn.weight, True), ("qkv.bias", h.attn.c_attn.bias, False),
                ("out.weight", h.attn.c_proj.weight, True), ("out.bias", h.attn.c_proj.bias, False),
                ("norm2.weight", h.ln_2.weight, False), ("norm2.bias", h.ln_2.bias, False),
                ("up.weight", h.mlp.c_fc.weight, True), ("up.bias", h.mlp.c_fc.bias, False),
                ("down.weight", h.mlp.c_proj.weight, True), ("down.bias", h.mlp.c_proj.bias, False)]:
            order.append((f"layers.{l}.{name}", p, transposed))
    order += [("final_norm.weight", model.transformer.ln_f.weight, False),
              ("final_norm.bias", model.transformer.ln_f.bias, False)]
    for salt, (name, p, transposed) in enumerate(order):
        fill(p, salt, transposed)
        if "norm" in name and name.endswith("weight"):
            p.data.add_(1.0)

    stream = torch.tensor([(i * 31 + i * i * 17) % VOCAB for i in range(BATCH * (CONTEXT + 1))]).reshape(BATCH, -1)
    tokens, labels = stream[:, :-1], stream[:, 1:]
    matrices = [p for _, p, _ in order if p.dim() >= 2]
    vectors = [p for _, p, _ in order if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": OPTIONS["weight_decay"]},
                                   {"params": vectors, "weight_decay": 0.0}], lr=OPTIONS["learning_rate"],
                                  betas=(OPTIONS["beta1"], OPTIONS["beta2"]), eps=OPTIONS["eps"])
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = model(tokens).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB), labels.reshape(-1))
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIONS["grad_clip"])))
        optimizer.step()
        losses.append(loss.item())
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump({"made_by": f"tools/golden/overfit.py, torch {torch.__version__}, "
                              f"transformers {transformers.__version__}",
                   "options": OPTIONS, "parameters": [name for name, _, _ in order], "losses": losses,
                   "gradient_norms": norms}, out, indent=1)
        out.write("\n")


main()

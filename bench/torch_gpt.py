"""A GPT in plain PyTorch and a stopwatch, for the comparisons in this folder."""

import math
import os
import resource
import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab_size: int
    block_size: int
    layers: int
    heads: int
    width: int
    bias: bool = True
    gelu: str = "tanh"  # "tanh" as in GPT-2, "none" (erf) as in nanoGPT


NANO = Config(vocab_size=65, block_size=64, layers=4, heads=4, width=128, bias=False, gelu="none")
GPT2 = Config(vocab_size=50257, block_size=1024, layers=12, heads=12, width=768)


class Norm(nn.Module):
    """LayerNorm whose bias can be left out."""

    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.gelu = c.heads, c.gelu
        self.norm1, self.norm2 = Norm(c.width, c.bias), Norm(c.width, c.bias)
        self.qkv = nn.Linear(c.width, 3 * c.width, bias=c.bias)
        self.out = nn.Linear(c.width, c.width, bias=c.bias)
        self.up = nn.Linear(c.width, 4 * c.width, bias=c.bias)
        self.down = nn.Linear(4 * c.width, c.width, bias=c.bias)

    def forward(self, x):
        rows, positions, width = x.shape
        q, k, v = (part.view(rows, positions, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(self.norm1(x)).split(width, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, positions, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate=self.gelu))


class Gpt(nn.Module):
    """Learned positions, norms before, tied head; forward gives the mean cross-entropy."""

    def __init__(self, c):
        super().__init__()
        self.tokens = nn.Embedding(c.vocab_size, c.width)
        self.positions = nn.Embedding(c.block_size, c.width)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = Norm(c.width, c.bias)
        for name, p in self.named_parameters():
            residual = name.endswith(("out.weight", "down.weight"))
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 / (math.sqrt(2 * c.layers) if residual else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def adamw(model, lr=1e-3, betas=(0.9, 0.99), decay=0.1):
    """The fused AdamW; matrices and embeddings decay, vectors do not."""
    groups = [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": decay},
              {"params": [p for p in model.parameters() if p.dim() != 2], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)


def train_step(loss_of, parameters, optimizer, batch, clip):
    loss = loss_of(*batch)
    loss.backward()
    if clip:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss


def time_training(config, mode, batch_size, block_size, steps, clip, threads):
    """Times `steps` training steps on random tokens after some for warming up, in this process."""
    set_threads(threads)
    torch.manual_seed(1)
    model = Gpt(config)
    parameters = list(model.parameters())
    optimizer = adamw(model)
    loss_of = torch.compile(model) if mode == "compile" else model
    ids = torch.randint(config.vocab_size, (batch_size, block_size + 1))
    batch = (ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
    times = []
    for step in range(steps + 3):
        start = time.perf_counter()
        train_step(loss_of, parameters, optimizer, batch, clip)
        if step >= 3:
            times.append(time.perf_counter() - start)
    median = statistics.median(times)
    return {"torch": torch.__version__, "mode": mode, "threads": threads, "batch_size": batch_size,
            "block_size": block_size, "steps": steps, "step_ms": 1e3 * median, "step_ms_min": 1e3 * min(times),
            "tokens_per_s": batch_size * block_size / median, "peak_rss_gb": peak_rss_gb()}


def peak_rss_gb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def set_threads(threads):
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch.set_num_threads(threads)

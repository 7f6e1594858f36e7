#!/usr/bin/env python3
"""The mean of two checkpoints of the same model in bf16 (a model soup: Wortsman et al. 2022).

  tools/mean_weights.py A B OUT      three model.safetensors
"""
import array
import struct
import sys


def read(path):
    with open(path, "rb") as f:
        size = f.read(8)
        header = f.read(struct.unpack("<Q", size)[0])
        return size + header, array.array("H", f.read())


def mean(a, b):
    """Of two bf16 numbers, rounded to the nearest, ties to even."""
    x, y = (struct.unpack("<f", struct.pack("<I", bits << 16))[0] for bits in (a, b))
    bits = struct.unpack("<I", struct.pack("<f", (x + y) / 2))[0]
    return bits + 0x7FFF + (bits >> 16 & 1) >> 16


header, first = read(sys.argv[1])
other_header, second = read(sys.argv[2])
if header != other_header or b'"BF16"' not in header:
    sys.exit(f"{sys.argv[1]} and {sys.argv[2]} do not hold the same tensors in bf16")
with open(sys.argv[3], "wb") as out:
    out.write(header + array.array("H", (a if a == b else mean(a, b) for a, b in zip(first, second))).tobytes())

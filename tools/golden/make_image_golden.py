#!/usr/bin/env python3
"""Writes tests/golden/images/ and tests/golden/images.json: small pictures in every kind of JPEG and PNG that is read,
and what OpenVLA's own image processor, its evaluation scripts and the libraries under them make of each.

    make_image_golden.py server tests/golden OPENVLA  (needs pillow < 13, torch, torchvision, timm 0.9.10, transformers 4.40.1)
    make_image_golden.py evaluation tests/golden      (needs pillow < 13, tensorflow)

The second adds to what the first wrote: torch and tensorflow do not share a process. OPENVLA is a folder with
prismatic/extern/hf/processing_prismatic.py of the openvla repository, or that file's folder.
Pillow 13 resizes columns before rows where the height shrinks much more than the width, which changes pixels by up to 2
of 255; OpenVLA was trained with the versions before it, whose order is rows first, always.
Hashes are SHA-256 of bytes in row order. The pixels of TensorFlow are also sampled, as its sums depend on its build.
"""

import hashlib
import importlib.metadata
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, features

TENSOR_SAMPLES, PIXEL_SAMPLES = 24, 300
DINO = dict(mean=[0.484375, 0.455078125, 0.40625], std=[0.228515625, 0.2236328125, 0.224609375], inplace=False)
# Every way to decode is read; of these also the resized pixels are kept.
RESIZED = ["camera_256x256.jpg", "camera_640x480.jpg", "odd_97x61.png", "tall_53x211.jpg", "wide_301x100.jpg",
           "wide_120x7.png", "one_pixel.png", "same_224x224.jpg", "progressive_131x77.jpg", "grey_75x90.jpg", "rgba.png",
           "grey_alpha.png", "palette_transparent.png"]
EVALUATED = ["camera_256x256.jpg", "camera_640x480.jpg", "odd_97x61.png", "tall_53x211.jpg", "same_224x224.jpg",
             "one_pixel.png"]
STRATEGIES = ["resize-naive", "letterbox", "resize-crop"]


def scene(width, height, seed):
    """Slopes, edges, fine stripes and noise: what resampling gets wrong."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    out = np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(x * y / (7 * width))], axis=-1)
    for _ in range(6):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.05, 0.25) * min(width, height)
        out[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = rng.integers(0, 256, 3)
    out[height // 3:height // 2, ::2] = 255
    out[height // 3:height // 2, 1::2] = 0
    out += rng.normal(0, 6, out.shape)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, color, rows, extra=b"", interlaced=False):
    """A PNG that Pillow does not write; `rows` are packed already."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def packed(values, depth):
    """Rows of samples of 1, 2 or 4 bits."""
    rows = []
    for row in values:
        bits = "".join(format(int(v), f"0{depth}b") for v in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)))
    return rows


def adam7(pixels):
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for x, y, dx, dy in passes:
        part = pixels[y::dy, x::dx]
        yield from (row.tobytes() for row in part if part.shape[1])


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def files():
    rgb = lambda w, h, seed: Image.fromarray(scene(w, h, seed))
    yield "camera_256x256.jpg", saved(rgb(256, 256, 1), "JPEG", quality=90)
    yield "camera_640x480.jpg", saved(rgb(640, 480, 2), "JPEG", quality=75)
    yield "odd_97x61.png", saved(rgb(97, 61, 3), "PNG")
    yield "tall_53x211.jpg", saved(rgb(53, 211, 4), "JPEG", quality=85, progressive=True, subsampling=1)
    yield "wide_301x100.jpg", saved(rgb(301, 100, 5), "JPEG", quality=80, subsampling=0)
    yield "wide_120x7.png", saved(rgb(120, 7, 6), "PNG")
    yield "one_pixel.png", saved(rgb(1, 1, 7), "PNG")
    yield "same_224x224.jpg", saved(rgb(224, 224, 8), "JPEG", quality=85)
    yield "progressive_131x77.jpg", saved(rgb(131, 77, 9), "JPEG", progressive=True)
    yield "grey_75x90.jpg", saved(rgb(75, 90, 10).convert("L"), "JPEG")
    yield "stored_as_rgb_40x33.jpg", saved(rgb(40, 33, 11), "JPEG", keep_rgb=True, quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by a quarter
    yield "orientation_45x30.jpg", saved(rgb(45, 30, 12), "JPEG", exif=exif)
    yield "restarts_70x50.jpg", saved(rgb(70, 50, 13), "JPEG", restart_marker_rows=1)
    small, rng = scene(37, 29, 14), np.random.default_rng(15)
    alpha = rng.integers(0, 256, (29, 37, 1), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(small).convert("L"))
    yield "rgba.png", saved(Image.fromarray(np.concatenate([small, alpha], axis=2)), "PNG")
    yield "grey_alpha.png", saved(Image.fromarray(np.concatenate([grey[..., None], alpha], axis=2)), "PNG")
    yield "grey.png", saved(Image.fromarray(grey), "PNG")
    yield "grey_transparent.png", saved(Image.fromarray(grey), "PNG", transparency=int(grey[3, 3]))
    yield "rgb_transparent.png", saved(Image.fromarray(small), "PNG", transparency=tuple(map(int, small[3, 3])))
    palette = Image.fromarray(small).quantize(200)
    yield "palette.png", saved(palette, "PNG")
    yield "palette_transparent.png", saved(palette, "PNG", transparency=bytes(range(200)))
    yield "palette_4bit.png", saved(Image.fromarray(small).quantize(11), "PNG", bits=4)
    for depth in (1, 2, 4):
        yield f"grey_{depth}bit.png", png(37, 29, depth, 0, packed(grey >> (8 - depth), depth))
    yield "interlaced.png", png(37, 29, 8, 2, adam7(small), interlaced=True)
    yield "gamma.png", png(37, 29, 8, 2, [r.tobytes() for r in small], chunk(b"gAMA", struct.pack(">I", 100000)))


def refused():
    image = Image.fromarray(scene(9, 7, 20))
    yield "cmyk.jpg", saved(image.convert("CMYK"), "JPEG")
    yield "animated.png", saved(image, "PNG", save_all=True, append_images=[image.rotate(180)])
    yield "sixteen_bits.png", saved(Image.fromarray(np.arange(63, dtype=np.uint16).reshape(7, 9) * 1000), "PNG")
    for form in ("GIF", "BMP", "TIFF", "WEBP"):
        yield f"picture.{form.lower()}", saved(image, form)


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def samples(array, count, seed):
    flat = np.asarray(array).reshape(-1)
    at = np.sort(np.random.default_rng(seed).integers(0, flat.size, count))
    return {"at": at.tolist(), "value": flat[at].tolist()}


def prismatic(openvla):
    """The class of openvla's own file."""
    for folder in (openvla / "prismatic/extern/hf", openvla):
        if (folder / "processing_prismatic.py").is_file():
            sys.path.insert(0, str(folder))
    from processing_prismatic import PrismaticImageProcessor
    return PrismaticImageProcessor


def server(processor_class, path, strategy, size):
    """openvla-7b's processor, with the rounded means of its file; the pixels before they are normalised, and after."""
    processor = processor_class(
        use_fused_vision_backbone=True, image_resize_strategy=strategy, input_sizes=[(3, size, size)] * 2,
        interpolations=["bicubic"] * 2, means=[(0.485, 0.456, 0.406), (0.5, 0.5, 0.5)],
        stds=[(0.229, 0.224, 0.225), (0.5, 0.5, 0.5)])
    processor.tvf_normalize_params[0] = DINO
    image = Image.open(path)
    tensor = processor.preprocess(image, return_tensors="pt")["pixel_values"][0].numpy()
    pixels = np.rint((tensor[3:] * 0.5 + 0.5) * 255).astype(np.uint8).transpose(1, 2, 0)
    return {"strategy": strategy, "size": size, "pixels": digest(pixels), "tensor": digest(tensor),
            "samples": samples(tensor, TENSOR_SAMPLES, size)}


def crop_and_resize(tf, image, area, size):
    """openvla's experiments/robot/openvla_utils.py, step by step."""
    image = tf.image.convert_image_dtype(tf.convert_to_tensor(image), tf.float32)[None]
    side = tf.reshape(tf.clip_by_value(tf.sqrt(area), 0, 1), shape=(1,))
    offset = (1 - side) / 2
    boxes = tf.stack([offset, offset, offset + side, offset + side], axis=1)
    image = tf.image.crop_and_resize(image, boxes, tf.range(1), (size, size))[0]
    return tf.image.convert_image_dtype(tf.clip_by_value(image, 0, 1), tf.uint8, saturate=True).numpy()


def evaluation(tf, path, size, rotate, jpeg, crop):
    image = np.asarray(Image.open(path).convert("RGB"))
    if rotate:
        image = image[::-1, ::-1]
    if jpeg:
        image = tf.io.decode_image(tf.image.encode_jpeg(image), expand_animations=False, dtype=tf.uint8)
    image = tf.image.resize(image, (size, size), method="lanczos3", antialias=True)
    image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8).numpy()
    if crop:
        image = crop_and_resize(tf, image, 0.9, size)
    return {"size": size, "rotate_180": rotate, "jpeg_round_trip": jpeg, "center_crop": crop, "pixels": digest(image),
            "samples": samples(image, PIXEL_SAMPLES, size)}


def versions(*names):
    return {name: importlib.metadata.version(name) for name in names}


def write(out, golden):
    text = json.dumps(golden, separators=(",", ":")).replace('{"file"', '\n{"file"') + "\n"
    (out / "images.json").write_text(text)
    total = sum(f.stat().st_size for f in (out / "images").iterdir())
    print(f"{len(golden['cases'])} pictures of {total} bytes, images.json of {len(text)}; {golden['versions']}")


def write_server(out, openvla):
    processor_class = prismatic(openvla)
    (out / "images").mkdir(exist_ok=True)
    cases, not_read = [], []
    for name, data in files():
        path = out / "images" / name
        path.write_bytes(data)
        image = Image.open(path).convert("RGB")
        case = {"file": name, "width": image.width, "height": image.height, "pixels": digest(np.asarray(image))}
        if name in RESIZED:
            case["server"] = [server(processor_class, path, s, size) for s in STRATEGIES for size in (224, 30)]
        cases.append(case)
    for name, data in refused():
        (out / "images" / name).write_bytes(data)
        not_read.append(name)
    used = versions("pillow", "torch", "torchvision", "timm", "transformers", "numpy")
    used["pillow's libjpeg-turbo"] = features.version_feature("libjpeg_turbo")
    write(out, {"versions": used, "refused": not_read, "cases": cases})


def write_evaluation(out):
    import tensorflow as tf

    golden = json.loads((out / "images.json").read_text())
    for case in golden["cases"]:
        if case["file"] not in EVALUATED:
            continue
        path = out / "images" / case["file"]
        decoded = tf.io.decode_image(tf.image.encode_jpeg(np.asarray(Image.open(path).convert("RGB"))))
        case["jpeg_round_trip"] = digest(decoded.numpy())
        case["evaluation"] = [evaluation(tf, path, 224, False, False, False), evaluation(tf, path, 224, False, True, False),
                              evaluation(tf, path, 224, True, True, True), evaluation(tf, path, 30, False, False, True)]
    golden["versions"]["tensorflow"] = tf.__version__
    write(out, golden)


if __name__ == "__main__":
    if int(importlib.metadata.version("pillow").split(".")[0]) >= 13:
        raise SystemExit(f"pillow is {importlib.metadata.version('pillow')}, expected one before 13")
    if len(sys.argv) == 4 and sys.argv[1] == "server":
        write_server(Path(sys.argv[2]), Path(sys.argv[3]))
    elif len(sys.argv) == 3 and sys.argv[1] == "evaluation":
        write_evaluation(Path(sys.argv[2]))
    else:
        raise SystemExit(__doc__)

#!/usr/bin/env python3
"""Writes tests/golden/openvla.json: features, logits and action tokens of OpenVLA's own modeling code for small models
whose weights need no file.

    make_openvla_golden.py OPENVLA tests/golden/openvla.json

OPENVLA is a folder that holds modeling_prismatic.py and configuration_prismatic.py of github.com/openvla/openvla
(prismatic/extern/hf); needs timm 0.9.10, transformers 4.40.1, tokenizers 0.19.1, torch and numpy.

Weights, pixels and prompts come from the generator of make_golden.py (element i of tensor number a, in the order of the
sorted names); pixels are those of tensor 0xFFFFFFF0 - image number, u * 4. Positions and prefix tokens are u / 4, the
projector u, norms and LayerScale 1 + u / 2, all else u / 2, and the rows of the head that stand for actions 5/4 of that:
so most tokens that win without a constraint are actions, and some are not. The reference computes in double precision,
but for Llama's norms and rotary tables.
"""
import importlib
import json
import pathlib
import sys
import types

import numpy as np
import timm
import torch
import transformers
from timm.models.vision_transformer import VisionTransformer

from philox import first_words

KEPT = 12      # features and logits of a position that are kept
BOUND = 1e-4   # what a test may allow, relative to the largest; every chosen token leads by more than twice this
IMAGES = 16    # of each case
SEEN = 2       # of those, the features also as they are before the projector
PROMPT = 9
BINS = 256
HEAD_GAIN = 1.25
IDENTITY = {"toy": {"action": {"q01": [-1.0] * 7, "q99": [1.0] * 7, "mask": [True] * 7}}}

TOWERS = {
    "tiny_dino": dict(image_size=28, patch_size=7, embed_dim=48, depth=4, num_heads=3, mlp_hidden_dim=84,
                      class_token=True, reg_tokens=2, layer_scale=True, attn_pool=False),
    "tiny_siglip": dict(image_size=28, patch_size=7, embed_dim=40, depth=3, num_heads=5, mlp_hidden_dim=60,
                        class_token=False, reg_tokens=0, layer_scale=False, attn_pool=True),
    "tiny_siglip_fine": dict(image_size=32, patch_size=4, embed_dim=36, depth=3, num_heads=2, mlp_hidden_dim=72,
                             class_token=False, reg_tokens=0, layer_scale=False, attn_pool=True),
    "tiny_vit": dict(image_size=24, patch_size=6, embed_dim=40, depth=3, num_heads=4, mlp_hidden_dim=80,
                     class_token=True, reg_tokens=0, layer_scale=True, attn_pool=False, pos_embed_covers_prefix=True),
}
TEXT = dict(model_type="llama", vocab_size=640 + 64, hidden_size=64, intermediate_size=88, num_hidden_layers=2,
            num_attention_heads=4, rms_norm_eps=1e-6)
CASES = {
    "dino and siglip": (["tiny_dino", "tiny_siglip"], TEXT),
    "siglip alone, 64 patches": (["tiny_siglip_fine"], TEXT | dict(hidden_size=48, num_attention_heads=6, num_key_value_heads=2)),
    "dino alone": (["tiny_dino"], TEXT),
    "class token with a position": (["tiny_vit"], TEXT | dict(vocab_size=320 + 64)),
}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def create_model(timm_id, pretrained, num_classes, img_size, act_layer):
    t = TOWERS[timm_id]
    assert not pretrained and num_classes == 0 and img_size == t["image_size"] and act_layer is None
    return VisionTransformer(
        img_size=img_size, patch_size=t["patch_size"], embed_dim=t["embed_dim"], depth=t["depth"],
        num_heads=t["num_heads"], mlp_ratio=t["mlp_hidden_dim"] / t["embed_dim"], num_classes=0,
        class_token=t["class_token"], reg_tokens=t["reg_tokens"],
        no_embed_class=not t.get("pos_embed_covers_prefix", False), init_values=1e-5 if t["layer_scale"] else None,
        global_pool="map" if t["attn_pool"] else "token")


def reference(folder):
    """modeling_prismatic.py as a package of its own, for it imports its neighbour by a relative name."""
    package = types.ModuleType("openvla_reference")
    package.__path__ = [folder]
    sys.modules["openvla_reference"] = package
    timm.create_model = create_model
    return (importlib.import_module("openvla_reference.modeling_prismatic"),
            importlib.import_module("openvla_reference.configuration_prismatic"))


def scale_of(name):
    if name.endswith(("scale_factor", "norm.weight", "norm1.weight", "norm2.weight", "layernorm.weight")):
        return 0.5, 1.0
    if name.endswith(("pos_embed", "cls_token", "reg_token")):
        return 0.25, 0.0
    return (1.0 if "projector" in name else 0.5), 0.0


def draw(seed, a, name, shape, actions, head_gain):
    u = (first_words(seed, a, int(np.prod(shape))) >> np.uint64(12)).astype(np.float64) / 2**20 - 0.5
    scale, offset = scale_of(name)
    values = (offset + u * scale).reshape(shape)
    if name.endswith("lm_head.weight"):
        values[actions[0]:actions[1]] *= head_gain
    assert np.array_equal(values, values.astype(np.float32))
    return values


def numbers(values):
    return [float(f"{v:.8g}") for v in values]


def kept(row, p=0):
    return numbers(row[(i * len(row) // KEPT + p) % len(row)] for i in range(KEPT))


def build(modules, towers, text, seed, dtype, norm_stats=IDENTITY, strategy="resize-naive", head_gain=HEAD_GAIN):
    modeling, configuration = modules
    config = configuration.OpenVLAConfig(
        vision_backbone_id="dinosiglip-vit-so-224px" if len(towers) == 2 else "siglip-vit-so400m",
        llm_backbone_id="llama2-7b-pure", n_action_bins=BINS, text_config=text, image_resize_strategy=strategy,
        arch_specifier="no-align+fused-gelu-mlp" if len(towers) == 2 else "no-align+gelu-mlp", norm_stats=norm_stats)
    config.timm_model_ids = towers
    config.timm_override_act_layers = [None] * len(towers)
    config.image_sizes = [TOWERS[t]["image_size"] for t in towers]
    config._attn_implementation = "eager"
    model = modeling.OpenVLAForActionPrediction(config).double().eval()
    vocab_end = text["vocab_size"] - config.pad_to_multiple_of
    state = dict(sorted(model.named_parameters()))
    tensors = [(name, list(p.shape)) for name, p in state.items()]
    with torch.no_grad():
        for a, (name, shape) in enumerate(tensors):
            values = draw(seed, a, name, shape, (vocab_end - BINS, vocab_end), head_gain)
            state[name].copy_(torch.from_numpy(values).to(dtype))
    out = json.loads(config.to_json_string(use_diff=False))
    out["kinetok_vision"] = {place: TOWERS[t] for place, t in zip(("featurizer", "fused_featurizer"), towers)}
    out["text_config"] = text
    keep = ("model_type", "arch_specifier", "use_fused_vision_backbone", "timm_model_ids", "timm_override_act_layers",
            "image_sizes", "image_resize_strategy", "pad_token_id", "pad_to_multiple_of", "llm_max_length", "norm_stats",
            "n_action_bins", "text_config", "kinetok_vision")
    return model, tensors, {k: out[k] for k in keep}, vocab_end


def act(model, pixels, prompt, allowed, count=7):
    """So many greedy tokens, of `allowed` ids or of all, and the least lead of a chosen one."""
    tokens, lead = list(prompt), float("inf")
    with torch.no_grad():
        for _ in range(count):
            logits = model(input_ids=torch.tensor([tokens]), pixel_values=pixels).logits[0, -1].double()
            most = logits.abs().max()
            if allowed is not None:
                logits = torch.where(allowed, logits, -torch.inf)
            first, second = logits.topk(2).values.tolist()
            lead = min(lead, (first - second) / float(most))
            tokens.append(int(logits.argmax()))
    return tokens[len(prompt):], lead


def case(modules, name, towers, text, number, dtype):
    seed = 5000 + number
    model, tensors, config, vocab_end = build(modules, towers, text, seed, DTYPES[dtype])
    shape = (1, 3 * len(towers), config["image_sizes"][0], config["image_sizes"][0])
    allowed = torch.zeros(text["vocab_size"], dtype=torch.bool)
    allowed[vocab_end - BINS:vocab_end] = True
    samples, least = [], float("inf")
    image = 0
    while len(samples) < IMAGES:
        u = (first_words(seed, 0xFFFFFFF0 - image, int(np.prod(shape))) >> np.uint64(12)).astype(np.float64) / 2**20 - 0.5
        pixels = torch.from_numpy((u * 4).reshape(shape))
        prompt = [1] + [int(w) * (vocab_end - BINS) >> 32 for w in first_words(seed, 0xFFFFFF00 - image, PROMPT - 1)]
        image += 1
        with torch.no_grad():
            out = model(input_ids=torch.tensor([prompt]), pixel_values=pixels, output_projector_features=True)
        features, logits = out.projector_features[0].double(), out.logits[0].double()
        constrained, lead = act(model, pixels, prompt, allowed)
        free, free_lead = act(model, pixels, prompt, None)
        if min(lead, free_lead) < 4 * BOUND:  # too close a choice for a test
            continue
        least = min(least, lead, free_lead)
        samples.append({"image": image - 1, "prompt": prompt, "features": [kept(r, p) for p, r in enumerate(features)],
                        "largest_feature": float(features.abs().max()), "logits": kept(logits[-1]),
                        "largest_logit": float(logits[-1].abs().max()), "actions": constrained, "unconstrained": free})
        if len(samples) <= SEEN:
            with torch.no_grad():
                seen = model.vision_backbone(pixels)[0]
            samples[-1] |= {"seen": [kept(r, p) for p, r in enumerate(seen)], "largest_seen": float(seen.abs().max())}
    print(f"{name:30} {dtype:5} least lead {least:.1e}, largest feature {samples[0]['largest_feature']:.2f}, "
          f"logit {samples[0]['largest_logit']:.2f}")
    return {"name": name, "dtype": dtype, "seed": seed, "config": config, "tensors": tensors, "vocab_end": vocab_end,
            "samples": samples}


def main():
    modules = reference(str(pathlib.Path(sys.argv[1]).resolve()))
    torch.set_num_threads(1)
    cases = [case(modules, name, towers, text, i, dtype) for i, (name, (towers, text)) in enumerate(CASES.items())
             for dtype in (DTYPES if i == 0 else ["f32"])]
    won = [t - c["vocab_end"] for c in cases for s in c["samples"] for t in s["unconstrained"]]
    actions = {t for t in won if -BINS <= t < 0}
    print(f"of {len(won)} tokens that win without a constraint, {sum(not -BINS <= t < 0 for t in won)} are no actions; "
          f"the others are {len(actions)} different ones")
    assert len(actions) >= 100 and any(not -BINS <= t < 0 for t in won)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(json.dumps({"made_by": "tools/golden/make_openvla_golden.py", "versions": {
            "torch": torch.__version__, "timm": timm.__version__, "transformers": transformers.__version__}})[:-1])
        file.write(', "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes tests/golden/openvla_policy.json: what OpenVLA's own processor and predict_action make of a picture and an
instruction, for small models whose weights need no file.

    make_openvla_policy_golden.py OPENVLA tests/golden/openvla_policy.json

OPENVLA is a folder that holds modeling_prismatic.py, configuration_prismatic.py and processing_prismatic.py of
github.com/openvla/openvla (prismatic/extern/hf); needs what make_openvla_golden.py needs, and torchvision and pillow < 13.

The models are drawn as make_openvla_golden.py draws. Their vocabulary has Llama 2's 32,000 ids and its padding, for
predict_action appends Llama's 29871 by itself; of the tokenizer, made here from the instructions in Llama's layout, the
file holds the pieces that occur: every other id below 32000 is the piece "<unused{id}>". The pictures are those of
make_image_golden.py. A sample is kept when every token that it chooses leads clearly.
"""
import hashlib
import importlib
import json
import pathlib
import sys
import tempfile

import PIL
import tokenizers
import torch
import torchvision
import transformers
from tokenizers import models, pre_tokenizers, trainers
from transformers import LlamaTokenizerFast

from make_openvla_golden import BINS, BOUND, DTYPES, TEXT, TOWERS, act, build, kept, reference, timm
from philox import first_words

PICTURES = ["camera_256x256.jpg", "camera_640x480.jpg", "odd_97x61.png", "tall_53x211.jpg", "wide_301x100.jpg",
            "wide_120x7.png", "grey_75x90.jpg", "grey.png", "grey_alpha.png", "rgba.png", "palette_transparent.png",
            "interlaced.png"]
INSTRUCTIONS = ["pick up the coke can", "Push the RED block to the left", "close the drawer", "put  two spaces here ",
                "move the café cup — 5 cm — to Ωmega", "Stack the blue cube on the green one!", "빨간 블록을 왼쪽으로 밀어",
                "İSTANBUL ΣΑΣ ÀÉ"]
STYLES = {
    "openvla": "In: What action should the robot take to {}?\nOut:",
    "openvla-v01": "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
                   "detailed, and polite answers to the user's questions. USER: What action should the robot take to {}? "
                   "ASSISTANT:",
}
SEPARATOR, TEXT_IDS, PADDING = 29871, 32000, 64
BOUNDS = {"dino": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "siglip": ((0.5,) * 3, (0.5,) * 3)}
LANGUAGE = TEXT | dict(vocab_size=TEXT_IDS + PADDING, hidden_size=48)
TOWERS["tiny_siglip_72"] = dict(TOWERS["tiny_siglip"], embed_dim=144, num_heads=2, mlp_hidden_dim=538)  # SigLIP's 72


def statistics(seed, dimensions, mask):
    """Bounds with all the digits of a double."""
    low = [-(int(w) + 1) / 3 / 2**34 for w in first_words(seed, 1, dimensions)]
    high = [(int(w) + 1) / 3 / 2**32 for w in first_words(seed, 2, dimensions)]
    return {"action": {"q01": low, "q99": high} | ({} if mask is None else {"mask": mask})}


CASES = {
    "dino and siglip, stretched": dict(
        towers=["tiny_dino", "tiny_siglip_72"], dtype="f32", strategy="resize-naive", style="openvla", instructions=3,
        norm_stats={"arm": statistics(11, 7, [True] * 6 + [False]), "hand": statistics(12, 3, None)}),
    "siglip alone, with a border": dict(
        towers=["tiny_siglip_72"], dtype="bf16", strategy="letterbox", style="openvla-v01", instructions=2,
        norm_stats={"only": statistics(14, 5, [True, False, True, True, False])}),
    "dino alone, cropped": dict(
        towers=["tiny_dino"], dtype="f32", strategy="resize-crop", style="openvla", instructions=2,
        norm_stats={"only": statistics(15, 7, [True] * 7)}),
}


def tokenizer_json():
    """Llama 2's layout: special tokens, bytes, pieces in the order of their merges, and characters from 29871 on."""
    texts = ["▁" + s.format(i.lower()).replace(" ", "▁") for s in STYLES.values() for i in INSTRUCTIONS]
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    characters = ["▁", *sorted({c for t in texts for c in t if "!" <= c <= "~"})]
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=characters, limit_alphabet=len(characters),
                                  show_progress=False)
    trained.train_from_iterator(["".join(c for c in t if c in characters) for t in texts], trainer)
    merges = json.loads(trained.to_str())["model"]["merges"]
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{b:02X}>": 3 + b for b in range(256)}
    vocabulary |= {m.replace(" ", ""): 259 + i for i, m in enumerate(merges)}
    vocabulary |= {c: SEPARATOR + i for i, c in enumerate(characters)}
    assert SEPARATOR + len(characters) <= TEXT_IDS - BINS
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    added = [dict(id=i, content=c, **flags) for c, i in
             (("<unk>", 0), ("<s>", 1), ("</s>", 2), ("<PAD>", TEXT_IDS))]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocabulary, "merges": merges}}


def load_tokenizer(described):
    model = described["model"]
    unused = set(range(TEXT_IDS)) - set(model["vocab"].values())
    whole = described | {"model": model | {"vocab": model["vocab"] | {f"<unused{i}>": i for i in sorted(unused)}}}
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
        return LlamaTokenizerFast.from_pretrained(folder, legacy=False)


def image_processor(processing, towers, strategy):
    size = TOWERS[towers[0]]["image_size"]
    means, stds = zip(*(BOUNDS["dino" if "dino" in t else "siglip"] for t in towers))
    return processing.PrismaticImageProcessor(
        use_fused_vision_backbone=len(towers) == 2, image_resize_strategy=strategy,
        input_sizes=[(3, size, size)] * len(towers), interpolations=["bicubic"] * len(towers), means=means, stds=stds)


def predict(model, inputs, key, **options):
    """The reference's own predict_action, and the ids that its generate gave."""
    ids, generate = [], model.generate
    # The mask is all ones and one short of the prompt with 29871; flash attention, which openvla runs on, drops it.
    assert inputs["attention_mask"].all()
    inputs = {"input_ids": inputs["input_ids"], "pixel_values": inputs["pixel_values"]}

    def watched(input_ids, **arguments):
        out = generate(input_ids, **arguments)
        ids.append((input_ids[0].tolist(), out[0, input_ids.shape[1]:].tolist()))
        return out

    model.generate = watched
    action = model.predict_action(**inputs, unnorm_key=key, do_sample=False, **options)
    model.generate = generate
    (prompt, tokens), = ids
    assert prompt[-1] == SEPARATOR and action.dtype == "float64"
    return prompt, tokens, action.tolist()


def sample(model, processor, vocab_end, picture, instruction, style, key):
    image = PIL.Image.open(picture).convert("RGB")  # as openvla's deploy.py and its README
    inputs = processor(STYLES[style].format(instruction.lower()), image)
    single = inputs["pixel_values"]
    assert single.dtype == torch.float32
    inputs = inputs.to(dtype=torch.float64)
    actions = list(range(vocab_end - BINS, vocab_end))
    prompt, tokens, action = predict(model, inputs, key, prefix_allowed_tokens_fn=lambda batch, ids: actions)
    _, free_tokens, free_action = predict(model, inputs, key)
    if len(free_tokens) < len(action):  # an early end: the reference would decode the prompt's last ids
        return None
    allowed = torch.zeros(model.config.text_config.vocab_size, dtype=torch.bool)
    allowed[actions] = True
    again, lead = act(model, inputs["pixel_values"], prompt, allowed, len(action))
    free_again, free_lead = act(model, inputs["pixel_values"], prompt, None, len(action))
    if min(lead, free_lead) < 4 * BOUND:  # too close a choice for a test
        return None
    assert (again, free_again) == (tokens, free_tokens)
    with torch.no_grad():
        out = model(input_ids=torch.tensor([prompt]), pixel_values=inputs["pixel_values"], output_projector_features=True)
    features, logits = out.projector_features[0], out.logits[0, -1].double()
    return {"picture": picture.name, "instruction": instruction, "unnorm_key": key, "prompt": prompt,
            "pixels": hashlib.sha256(single[0].numpy().tobytes()).hexdigest(),
            "features": [kept(r, p) for p, r in enumerate(features)], "largest_feature": float(features.abs().max()),
            "logits": kept(logits), "largest_logit": float(logits.abs().max()),
            "tokens": tokens, "action": action, "unconstrained_tokens": free_tokens, "unconstrained_action": free_action}


def case(modules, processing, tokenizer, images, number, name, towers, dtype, strategy, style, instructions, norm_stats):
    seed, gain = 6000 + number, 1.75
    model, tensors, config, vocab_end = build(modules, towers, LANGUAGE, seed, DTYPES[dtype], norm_stats, strategy, gain)
    assert model.generation_config.eos_token_id == 2 and vocab_end == TEXT_IDS
    images_in = image_processor(processing, towers, strategy)
    processor = processing.PrismaticProcessor(images_in, tokenizer)
    keys = list(norm_stats)
    samples = []
    for i, picture in enumerate(PICTURES):
        for j in range(instructions):
            at = i * instructions + j
            key = keys[at % len(keys)] if len(keys) > 1 else None
            instruction = INSTRUCTIONS[(at + number) % len(INSTRUCTIONS)]
            one = sample(model, processor, vocab_end, images / picture, instruction, style, key)
            samples += [one] if one else []
    missing = set(PICTURES) - {s["picture"] for s in samples}
    print(f"{name:30} {len(samples)} samples, without {missing or 'none'} of the pictures")
    config["kinetok_vla"] = {"instruction_style": style}
    out = {"name": name, "dtype": dtype, "seed": seed, "head_gain": gain, "config": config, "tensors": tensors,
           "preprocessor_config": json.loads(images_in.to_json_string()), "vocab_end": vocab_end, "samples": samples}
    # An end of text in the place of the last token, after actions.
    inputs = processor(STYLES[style].format("reach"), PIL.Image.open(images / PICTURES[0])).to(dtype=torch.float64)
    end = inputs["input_ids"].shape[1] + 1 + len(norm_stats[keys[0]]["action"]["q01"]) - 1
    actions = list(range(vocab_end - BINS, vocab_end))
    _, tokens, action = predict(model, inputs, keys[0],
                                prefix_allowed_tokens_fn=lambda batch, ids: actions if len(ids) < end else [2])
    out["end_as_the_last"] = {"picture": PICTURES[0], "instruction": "reach", "unnorm_key": keys[0],
                              "unconstrained_tokens": tokens, "unconstrained_action": action}
    return out


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    images = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/images"
    if int(PIL.__version__.split(".")[0]) >= 13:
        raise SystemExit(f"pillow is {PIL.__version__}, expected one before 13")
    modules = reference(str(folder))
    processing = importlib.import_module("openvla_reference.processing_prismatic")
    torch.set_num_threads(1)
    described = tokenizer_json()
    tokenizer = load_tokenizer(described)
    cases = [case(modules, processing, tokenizer, images, n, name, **c) for n, (name, c) in enumerate(CASES.items())]
    samples = [s for c in cases for s in c["samples"]]
    won = [t - TEXT_IDS for s in samples for t in s["unconstrained_tokens"]]
    actions = {t for t in won if -BINS <= t < 0}
    print(f"{len(samples)} samples; of {len(won)} tokens that win without a constraint, "
          f"{sum(not -BINS <= t < 0 for t in won)} are no actions; the others are {len(actions)} different ones")
    assert len(actions) >= 100 and any(not -BINS <= t < 0 for t in won)
    assert {s["picture"] for s in samples} == set(PICTURES)
    assert {s["instruction"] for s in samples} == set(INSTRUCTIONS)
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, timm, transformers, tokenizers)}
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        head = {"made_by": "tools/golden/make_openvla_policy_golden.py",
                "versions": versions | {"pillow": PIL.__version__}, "tokenizer": described}
        file.write(json.dumps(head)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()

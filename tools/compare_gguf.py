#!/usr/bin/env python3
"""Compares Kinetok's GGUF files with gguf-py, and its logits and tokens with llama.cpp's on the same file.

    compare_gguf.py --kinetok build/release/kinetok --data ../shared/data
        (needs numpy, torch, transformers, safetensors, gguf; llama.cpp comes from xllamacpp, which carries its library)

Small random models of transformers (llama, gpt2):
  ours     kinetok convert writes GGUF; gguf-py reads it: names, shapes, types and every value, q and k permuted back
  theirs   gguf-py writes GGUF as llama.cpp's converter lays it out; kinetok's logits against transformers'
  llama.cpp runs our f32 file: logits of every position, and 100 greedy tokens
  tokens   tokenizers that go through GGUF: kinetok and llama.cpp on the vectors of the data folder
Prints a table; fails on any difference, of logits beyond 1e-3 of the largest (llama.cpp looks GELU up in a table of halves).
"""

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, logging

LIMIT = 1e-3
VOCABULARY = 500
MODELS = {
    "llama": LlamaConfig(vocab_size=VOCABULARY, hidden_size=96, intermediate_size=160, num_hidden_layers=3,
                         num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=256,
                         rope_theta=20000.0, rms_norm_eps=1e-5, tie_word_embeddings=False),
    "llama-wide-heads": LlamaConfig(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                                    num_attention_heads=4, num_key_value_heads=4, head_dim=32,
                                    max_position_embeddings=256, attention_bias=True, tie_word_embeddings=True),
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_embd=96, n_layer=3, n_head=6, n_positions=256, bos_token_id=None,
                       eos_token_id=None),
}


def draw(config, seed):
    """A model whose every parameter is drawn, large enough that a wrong epsilon or order shows."""
    torch.manual_seed(seed)
    model = (GPT2LMHeadModel if config.model_type == "gpt2" else LlamaForCausalLM)(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            norm = "norm" in name or "ln_" in name
            p.copy_(torch.randn_like(p) * 0.1 + (1.0 if norm and name.endswith("weight") else 0.0))
    return model


def run(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout


def kinetok_logits(kinetok, model, tokens, folder):
    out = folder / "logits.npy"
    run(kinetok, "logits", "--model", model, "--tokens", " ".join(map(str, tokens)), "--out", out)
    return np.load(out)


def permute(weights, heads):
    """llama.cpp's convert_hf_to_gguf.py, LlamaModel.permute."""
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(
        weights.shape)


def gguf_tensors(directory, config):
    """The tensors of a Hugging Face directory under llama.cpp's names and in its layout."""
    architecture = gguf.MODEL_ARCH.GPT2 if config.model_type == "gpt2" else gguf.MODEL_ARCH.LLAMA
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    out = {}
    for name, values in load_file(directory / "model.safetensors").items():
        values = values.astype(np.float32)
        if config.model_type == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            values = values.T
        if "q_proj" in name:
            values = permute(values, config.num_attention_heads)
        if "k_proj" in name:
            values = permute(values, config.num_key_value_heads)
        out[names.get_name(name, try_suffixes=(".weight", ".bias"))] = np.ascontiguousarray(values)
    return out


def check_ours(file, expected):
    reader = gguf.GGUFReader(file)
    found = {t.name: t for t in reader.tensors}
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    for name, values in expected.items():
        assert list(found[name].shape) == list(reversed(values.shape)), name
        assert found[name].tensor_type == gguf.GGMLQuantizationType.F32, name
        assert np.array_equal(found[name].data, values), name
    return len(found)


def write_theirs(file, config, tensors):
    writer = gguf.GGUFWriter(file, "gpt2" if config.model_type == "gpt2" else "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(4 * config.n_embd)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class LlamaCpp:
    """llama.h, as far as it is needed here. Parameters are passed as the library's defaults, whatever their layout."""

    class Parameters(ctypes.Structure):
        _fields_ = [("words", ctypes.c_int32 * 128)]

    class Batch(ctypes.Structure):
        _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)),
                    ("embd", ctypes.c_void_p), ("pos", ctypes.POINTER(ctypes.c_int32)),
                    ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                    ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
                    ("logits", ctypes.POINTER(ctypes.c_int8))]

    def __init__(self):
        import xllamacpp  # noqa: PLC0415

        self.lib = lib = ctypes.CDLL(str(Path(xllamacpp.__file__).parent / "xllamacpp.abi3.so"))
        pointer, p = ctypes.c_void_p, self.Parameters
        for name, result, arguments in (
                ("llama_model_default_params", p, []), ("llama_context_default_params", p, []),
                ("llama_model_load_from_file", pointer, [ctypes.c_char_p, p]),
                ("llama_init_from_model", pointer, [pointer, p]), ("llama_free", None, [pointer]),
                ("llama_model_free", None, [pointer]), ("llama_model_get_vocab", pointer, [pointer]),
                ("llama_vocab_n_tokens", ctypes.c_int32, [pointer]),
                ("llama_batch_init", self.Batch, [ctypes.c_int32] * 3), ("llama_batch_free", None, [self.Batch]),
                ("llama_decode", ctypes.c_int32, [pointer, self.Batch]),
                ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [pointer, ctypes.c_int32]),
                ("llama_tokenize", ctypes.c_int32, [pointer, ctypes.c_char_p, ctypes.c_int32,
                                                    ctypes.POINTER(ctypes.c_int32), ctypes.c_int32, ctypes.c_bool,
                                                    ctypes.c_bool])):
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
        self.log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        lib.llama_log_set(self.log, None)
        lib.llama_backend_init()

    def load(self, file):
        self.model = self.lib.llama_model_load_from_file(str(file).encode(), self.lib.llama_model_default_params())
        assert self.model, f"llama.cpp does not load {file}"
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        parameters = self.lib.llama_context_default_params()
        # Its flash attention keeps halves: flash_attn_type, the last of four enums that are -1, becomes 0 (off).
        assert list(parameters.words[10:14]) == [-1] * 4, list(parameters.words)[:40]
        parameters.words[13] = 0
        # type_k, type_v: GGML_TYPE_F16 (1) twice, behind the floats of RoPE; keys and values in f32 instead.
        pairs = [i for i in range(14, 40) if parameters.words[i] == 1 and parameters.words[i + 1] == 1]
        assert len(pairs) == 1, list(parameters.words)[:40]
        parameters.words[pairs[0]] = parameters.words[pairs[0] + 1] = 0
        self.context = self.lib.llama_init_from_model(self.model, parameters)
        assert self.context
        self.at = 0

    def free(self):
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)

    def logits(self, tokens):
        """Of the tokens that follow those before: [len(tokens), vocabulary]."""
        batch = self.lib.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, self.at + i, 1, 1
            batch.seq_id[i][0] = 0
        assert self.lib.llama_decode(self.context, batch) == 0
        self.at += len(tokens)
        width = self.lib.llama_vocab_n_tokens(self.vocab)
        out = [np.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, i), (width,)).copy()
               for i in range(len(tokens))]
        self.lib.llama_batch_free(batch)
        return np.stack(out)

    def tokenize(self, text):
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 16))()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, len(ids), False, False)
        assert count >= 0
        return list(ids[:count])


def compare_models(kinetok, llama_cpp, folder):
    failed = False
    print(f"{'model':<18}{'ours':>12}{'theirs':>12}{'llama.cpp':>12}{'largest':>9}  greedy")
    tokens = [(i * 97 + 13) % VOCABULARY for i in range(60)]
    for name, config in MODELS.items():
        hf, ours, theirs = folder / name, folder / f"{name}.gguf", folder / f"{name}-theirs.gguf"
        model = draw(config, 5)
        model.save_pretrained(hf)
        with torch.no_grad():
            expected = model(torch.tensor([tokens])).logits[0].numpy()
        run(kinetok, "convert", "--model", hf, "--out", ours)
        tensors = gguf_tensors(hf, config)
        count = check_ours(ours, tensors)
        write_theirs(theirs, config, tensors)
        largest = np.abs(expected).max()
        theirs_error = np.abs(kinetok_logits(kinetok, theirs, tokens, folder) - expected).max()
        llama_cpp.load(ours)
        run_logits = llama_cpp.logits(tokens)
        llama_error = np.abs(run_logits - kinetok_logits(kinetok, ours, tokens, folder)).max()
        greedy, row = [], run_logits[-1]
        for _ in range(100):
            greedy.append(int(row.argmax()))
            row = llama_cpp.logits(greedy[-1:])[0]
        llama_cpp.free()
        said = json.loads(run(kinetok, "generate", "--model", ours, "--tokens", " ".join(map(str, tokens)),
                              "--max-new-tokens", 100, "--greedy", "--json"))["tokens"]
        same = said == greedy
        print(f"{name:<18}{count:>4} tensors{theirs_error:>12.1e}{llama_error:>12.1e}{largest:>9.2f}  "
              f"{'same 100 tokens' if same else 'DIFFER'}")
        failed |= max(theirs_error, llama_error) > LIMIT * largest or not same
    return failed


def cases(path):
    return path.read_text(encoding="utf-8", errors="surrogateescape").split("\n__ggml_vocab_test__\n")


def compare_tokenizers(kinetok, llama_cpp, folder, data):
    """Tiny models with whole vocabularies, converted to GGUF; llama.cpp and kinetok read the tokenizer from there."""
    failed = False
    kinds = {"gpt2": (GPT2Config(vocab_size=50257, n_embd=32, n_layer=1, n_head=2, n_positions=64),
                      {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}),
             "llama2": (LlamaConfig(vocab_size=32000, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
                                    num_attention_heads=2, max_position_embeddings=64),
                        {"tokenizer.model": "tokenizer.model"})}
    for name, (config, files) in kinds.items():
        hf, file = folder / f"{name}-tokens", folder / f"{name}-tokens.gguf"
        draw(config, 1).save_pretrained(hf)
        for source, target in files.items():
            (hf / target).write_bytes((data / name / source).read_bytes())
        run(kinetok, "convert", "--model", hf, "--out", file)
        texts = [t for t in cases(data / name / "cases.inp") if t]
        batch = folder / "texts.jsonl"
        batch.write_text("".join(json.dumps(t) + "\n" for t in texts))
        lines = {m: run(kinetok, "tokenize", "--model", m, "--batch-file", batch).splitlines() for m in (hf, file)}
        llama_cpp.load(file)
        theirs = [llama_cpp.tokenize(t) for t in texts]
        llama_cpp.free()
        ours = [json.loads(line) for line in lines[file]]
        through = sum(a != b for a, b in zip(lines[hf], lines[file], strict=True))
        different = [t for t, a, b in zip(texts, ours, theirs, strict=True) if a != b]
        run(kinetok, "convert", "--model", file, "--out", folder / f"{name}-back")
        back = run(kinetok, "tokenize", "--model", folder / f"{name}-back", "--batch-file", batch).splitlines()
        returned = sum(a != b for a, b in zip(lines[hf], back, strict=True))
        print(f"{name} tokenizer: {len(texts)} texts; {through} differ through GGUF, {returned} after the way back, "
              f"{len(different)} from llama.cpp {different[:3]}")
        failed |= through > 0 or returned > 0 or bool(different)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinetok", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="reference vocabularies; without it tokenizers are not compared")
    flags = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    llama_cpp = LlamaCpp()
    with tempfile.TemporaryDirectory() as scratch:
        failed = compare_models(flags.kinetok, llama_cpp, Path(scratch))
        if flags.data:
            failed |= compare_tokenizers(flags.kinetok, llama_cpp, Path(scratch), flags.data)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

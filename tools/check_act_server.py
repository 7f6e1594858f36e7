#!/usr/bin/env python3
"""Asks `kinetok serve` as OpenVLA's clients do, and compares with `kinetok act` on the same images.

    check_act_server.py --kinetok build/release/kinetok [--model DIR --unnorm-key KEY]
        (needs tools/requirements.txt, which scripts/python_env.sh installs; without it the exit status is 77)

Without --model the policy is a small random one in OpenVLA's layout. What is sent is what openvla's vla-scripts/deploy.py
documents: requests.post(url, json={"image": array, "instruction": text}).json() after json_numpy.patch(), and the same
as {"encoded": json_numpy.dumps(...)}. Fails unless every action is the same double for double, also of a request that
SIGTERM comes into the midst of.
"""
import argparse
import concurrent.futures
import http.client
import json
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import json_numpy
    import numpy as np
    import requests
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}; scripts/python_env.sh installs what is needed")
    sys.exit(77)

json_numpy.patch()

SIDE = 56  # of the small policy's images
TOWER = dict(image_size=SIDE, patch_size=7, embed_dim=96, depth=3, num_heads=4, mlp_hidden_dim=192)
CONFIG = {
    "model_type": "openvla", "use_fused_vision_backbone": True, "timm_model_ids": ["small_dino", "small_siglip"],
    "image_sizes": [SIDE, SIDE], "image_resize_strategy": "resize-naive", "pad_to_multiple_of": 64,
    "n_action_bins": 256, "kinetok_vla": {"separator_token_id": 32},
    "norm_stats": {"toy": {"action": {"q01": [-0.02] * 6 + [0.0], "q99": [0.03] * 6 + [1.0], "mask": [True] * 6 + [False]}}},
    "text_config": {"model_type": "llama", "vocab_size": 704, "hidden_size": 128, "intermediate_size": 256,
                    "num_hidden_layers": 3, "num_attention_heads": 4, "bos_token_id": 256, "eos_token_id": 256,
                    "rms_norm_eps": 1e-6, "max_position_embeddings": 512},
    "kinetok_vision": {
        "featurizer": TOWER | {"class_token": True, "reg_tokens": 2, "layer_scale": True},
        "fused_featurizer": TOWER | {"attn_pool": True}},
}
IMAGES = {
    "image_resize_strategy": "resize-naive", "use_fused_vision_backbone": True, "input_sizes": [[3, SIDE, SIDE]] * 2,
    "interpolations": ["bicubic"] * 2, "means": [[0.485, 0.456, 0.406], [0.5] * 3], "stds": [[0.229, 0.224, 0.225], [0.5] * 3],
}
INSTRUCTIONS = ["pick up the red block", "Put the \"cup\" on the plate", "빨간 블록을 집어"]
SIZES = [(480, 640), (224, 224), (37, 53), (720, 1280)]


def run(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout


def make_policy(kinetok, folder):
    (folder / "text").write_text("pick up the red block, put the cup on the plate, " * 20)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    policy = folder / "policy"
    run(kinetok, "init", "--model-config", folder / "config.json", "--seed", 1, "--out", policy)
    run(kinetok, "tokenizer", "train", "--data", folder / "text", "--kind", "bytes-bpe", "--vocab-size", 280, "--out", policy)
    (policy / "preprocessor_config.json").write_text(json.dumps(IMAGES))
    return policy


def draw(height, width, seed):
    """A picture with edges and gradients."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (seed + 1) + y * k) % 256 if k % 2 else 255 * ((x // 16 + y // (9 + seed)) % 2) for k in range(3)]
    return np.stack(planes, axis=-1).astype(np.uint8)


class Server:
    def __init__(self, kinetok, model, unnorm_key):
        words = [kinetok, "serve", "--model", model, "--port", "0", "--json"]
        if unnorm_key:
            words += ["--unnorm-key", unnorm_key]
        self.process = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True)
        place = json.loads(self.process.stdout.readline())
        self.url, self.port = place["url"], place["port"]

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        assert failure[0] or status == 0, f"the server ended with status {status}"

    def act(self, image, instruction):
        return requests.post(f"{self.url}/act", json={"image": image, "instruction": instruction}).json()

    def act_encoded(self, image, instruction):
        payload = {"encoded": json_numpy.dumps({"image": image, "instruction": instruction})}
        return json_numpy.loads(requests.post(f"{self.url}/act", json=payload).json())


def await_refusal(port):
    """Returns once nobody listens any more."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass
        time.sleep(0.01)


def act_in_the_midst_of_which_it_ends(server, image, instruction):
    """The action, and the server's exit status."""
    body = json.dumps({"image": image, "instruction": instruction}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/act")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:len(body) // 2])
    server.process.send_signal(signal.SIGTERM)
    await_refusal(server.port)
    connection.send(body[len(body) // 2:])
    response = connection.getresponse()
    return json_numpy.loads(response.read()) if response.status == 200 else None, server.process.wait(60)


def same(a, b):
    return isinstance(a, np.ndarray) and a.dtype == np.float64 and a.shape == b.shape and a.tobytes() == b.tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinetok", required=True, type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--unnorm-key", default="")
    parser.add_argument("--clients", type=int, default=200)
    args = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = args.model or make_policy(args.kinetok, folder)
        cases = []
        for i, (height, width) in enumerate(SIZES):
            image = draw(height, width, i)
            Image.fromarray(image).save(folder / f"{i}.png")
            cases += [(image, folder / f"{i}.png", text) for text in INSTRUCTIONS]
        lines = "".join(json.dumps({"image": str(path), "instruction": text}) + "\n" for _, path, text in cases)
        (folder / "cases.jsonl").write_text(lines)
        key = ["--unnorm-key", args.unnorm_key] if args.unnorm_key else []
        answers = run(args.kinetok, "act", "--model", model, "--batch-file", folder / "cases.jsonl", "--json", *key)
        expected = [np.array(json.loads(line)["action"]) for line in answers.splitlines()]
        print(f"{len(cases)} cases, {len({e.tobytes() for e in expected})} different actions by kinetok act")
        with Server(args.kinetok, model, args.unnorm_key) as server:
            for label, ask in ("plain", server.act), ("encoded", server.act_encoded):
                seconds, wrong = [], 0
                for (image, _, text), action in zip(cases, expected):
                    start = time.perf_counter()
                    wrong += not same(ask(image, text), action)
                    seconds.append(time.perf_counter() - start)
                failures += wrong
                print(f"{label:8} {len(cases) - wrong} of {len(cases)} the same, median {1e3 * statistics.median(seconds):.1f} ms")
            jobs = [(i % len(cases)) for i in range(args.clients)]
            start = time.perf_counter()
            with concurrent.futures.ThreadPoolExecutor(args.clients) as pool:
                got = list(pool.map(lambda i: server.act(cases[i][0], cases[i][2]), jobs))
            wrong = sum(not same(g, expected[i]) for g, i in zip(got, jobs))
            failures += wrong
            print(f"at once  {args.clients - wrong} of {args.clients} the same, {time.perf_counter() - start:.2f} s")
            bad = requests.post(f"{server.url}/act", json={"image": cases[0][0].astype(np.float32), "instruction": "x"})
            failures += bad.status_code != 400
            print(f"float32  {bad.status_code} {bad.json()['error']}")
            health = requests.get(f"{server.url}/health").json()
            print(f"health   {json.dumps(health)}")
            failures += health["answered"] != 2 * len(cases) + args.clients
        with Server(args.kinetok, model, args.unnorm_key) as server:
            action, status = act_in_the_midst_of_which_it_ends(server, cases[0][0], cases[0][2])
            failures += not same(action, expected[0]) or status != 0
            print(f"SIGTERM  {'the same' if same(action, expected[0]) else action}, exit status {status}")
    print("passed" if not failures else f"FAILED: {failures} differences")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())

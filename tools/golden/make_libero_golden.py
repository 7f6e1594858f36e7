#!/usr/bin/env python3
"""Writes tests/golden/libero.hdf5: demonstrations as h5py writes them, in the layout of LIBERO's own files.

    pip install h5py numpy
    tools/golden/make_libero_golden.py
"""
import json
import pathlib

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS, SIDE = (3, 2), 4


def main():
    with h5py.File(ROOT / "tests/golden/libero.hdf5", "w", track_order=False) as file:
        data = file.create_group("data")
        data.attrs["bddl_file_name"] = "libero_object/pick_up_the_milk.bddl"
        data.attrs["problem_info"] = json.dumps({"problem_name": "x", "language_instruction": "pick up the Milk"})
        data.attrs["env_args"] = np.bytes_(json.dumps({"type": 1}))
        data.attrs["num_demos"] = 2
        # demo_10 sorts after demo_2
        for name, steps in zip(("demo_10", "demo_2"), STEPS):
            demo = data.create_group(name)
            demo.attrs["num_samples"] = steps
            demo.attrs["init_state"] = np.arange(5.0)
            actions = np.arange(steps * 7).reshape(steps, 7) / 16.0
            actions[:, 6] = [-1, 1, 1][:steps]
            demo["actions"] = actions
            demo["states"] = np.ones((steps, 3))
            demo["dones"] = np.zeros(steps, np.uint8)
            pixels = (np.arange(steps * SIDE * (SIDE + 1) * 3) % 251).astype(np.uint8).reshape(steps, SIDE, SIDE + 1, 3)
            obs = demo.create_group("obs")
            if name == "demo_2":
                obs.create_dataset("agentview_rgb", data=pixels, compression="gzip", chunks=(1, SIDE, SIDE + 1, 3))
            else:
                obs["agentview_rgb"] = pixels
            obs["ee_pos"] = np.zeros((steps, 3))


main()

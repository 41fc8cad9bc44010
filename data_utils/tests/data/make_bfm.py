"""A made-up face model in the layout of BFM-2009 as talking-head trackers use it: data_utils/tests/data/bfm/.

01_MorphableModel.mat as published by the University of Basel (shapeMU, shapePC, shapeEV; textures and triangles beside
them), exp_info.npy, topology_info.npy and keys_info.npy as AD-NeRF's tracker reads them. Its surface is the egg that
the crate's tests use as a canonical face, in micrometres, moved and turned. Run: python make_bfm.py
"""
import os
import sys

import numpy as np
import scipy.io

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bfm")
ALL, KEPT, IDENTITY, EXPRESSION = 1500, 1400, 4, 3

# The points of the iBUG markup among the egg's 468, as in face/ibug.rs.
IBUG = [
    [127], [234], [93], [58, 132], [172, 58], [136], [150], [176], [152], [400], [379], [365], [397, 288], [361], [323],
    [454], [356], [70], [63], [105], [66], [107], [336], [296], [334], [293], [300], [168, 6], [195, 197], [5], [4], [75],
    [97], [2], [326], [305], [33], [160], [158], [133], [153], [144], [362], [385], [387], [263], [373], [380], [61], [39],
    [37], [0], [267], [269], [291], [321], [314], [17], [84], [91], [78], [82], [13], [312], [308], [317], [14], [87],
]


def egg(count):
    """`count` points of Vogel's spiral on the front of an ellipsoid, centimetres."""
    i = np.arange(count)
    r, turn = np.sqrt((i + 0.5) / count) * 0.97, i * 2.399963
    x, y = r * np.cos(turn), r * np.sin(turn)
    return np.stack([7 * x, 9 * y, 8 * np.sqrt(1 - r * r) - 2], 1)


def moved(points):
    """Turned by 6 degrees about x, a fifth larger, elsewhere; micrometres."""
    c, s = np.cos(np.radians(6)), np.sin(np.radians(6))
    return points @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]) * 1.2e4 + np.array([300, -5000, 2000])


random = np.random.default_rng(7)
surface = moved(egg(ALL))
order = random.permutation(ALL)
kept = np.sort(random.permutation(ALL)[:KEPT])
vertices = surface[order]
marks = moved(egg(468))
keys = [np.linalg.norm(vertices[kept] - np.mean(marks[pair], 0), axis=1).argmin() for pair in IBUG]
# Modes are simple functions of the place, so that a test can say what they should be.
place = (vertices - surface.mean(0)) / 5e4
modes = np.stack([place, place[:, ::-1], place**2, np.sin(3 * place)], -1).reshape(3 * ALL, IDENTITY) / 100
moves = np.stack([np.cos(2 * place), place**3, place[:, [2, 0, 1]]])[:, kept].reshape(EXPRESSION, 3 * KEPT) * 500
os.makedirs(FOLDER, exist_ok=True)
at = lambda name: os.path.join(FOLDER, name)
scipy.io.savemat(
    at("01_MorphableModel.mat"),
    {
        "shapePC": modes.astype(np.float32),
        "shapeEV": np.array([[9e5], [5e5], [2e5], [1e5]]),
        "shapeMU": vertices.reshape(-1, 1).astype(np.float32),
        "texMU": np.zeros((6, 1), np.float32),
        "tl": np.arange(6, dtype=np.int32).reshape(2, 3),
        "segbin": np.zeros((2, 2), bool),
    },
    do_compression=True,
)


def save(name, dictionary, protocol=None):
    """As numpy.save of a dict; protocol 2 is what older NumPy wrote."""
    if protocol is None:
        np.save(at(name), dictionary)
        return
    import pickle

    with open(at(name), "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(dictionary, object), file, protocol=protocol)


save(
    "exp_info.npy",
    {
        "mu_exp": np.full(3 * KEPT, 10, np.float32),
        "base_exp": moves.astype(np.float32),
        "sig_exp": np.array([2.0, 1.0, 0.5], np.float32),
    },
)
triangles = np.stack([np.arange(KEPT - 2), np.arange(1, KEPT - 1), np.arange(2, KEPT)], 1)
save(
    "topology_info.npy",
    {"tris": triangles[:5], "vert_tris": np.zeros((4, 8), np.int64), "sub_inds": kept},
    protocol=2,
)
save(
    "keys_info.npy",
    {
        "keyinds": np.array(keys),
        "left_contour": np.zeros((8, 20), np.int64),
        "right_contour": np.zeros((8, 20), np.int64),
        "rigid_ids": np.arange(9),
    },
)

table = {
    "text": "words",
    "table": np.arange(6).reshape(2, 3) + 0.5,
    "complex": np.array([[1 + 2j]]),
    "bytes": np.array([[1, 2, 255]], np.uint8),
    "cells": np.array([["a", 1.0]], object),
    "one": np.array([[-7.25]], np.float32),
}
scipy.io.savemat(at("plain.mat"), table)
scipy.io.savemat(at("packed.mat"), {k: table[k] for k in ("table", "bytes", "one")}, do_compression=True)
for file in sorted(os.listdir(FOLDER)):
    print(file, os.path.getsize(at(file)), file=sys.stderr)

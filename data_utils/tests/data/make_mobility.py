"""Prints the body of src/track/mobility.rs: how far each of MediaPipe's 468 landmarks moves along each axis when the
face moves, root of the sum of squares over ICT-FaceKit's 53 expression modes, hundredths of a millimetre.

usage: python make_mobility.py ict_compact.npz mp468_to_ict.npz
ict_compact.npz: exp [53, vertices, 3] in cm (ICT-VGL/ICT-FaceKit, MIT); mp468_to_ict.npz: the triangle and the
barycentric weights at which each landmark lies on that mesh.
"""
import sys

import numpy as np

face, anchors = (np.load(p, allow_pickle=False) for p in sys.argv[1:3])
modes = face["exp"].astype(float)[:, anchors["tri"]]
moved = (modes * anchors["bary"][None, :, :, None]).sum(2)
hundredths = np.round(np.sqrt((moved**2).sum(0)) * 1000).astype(int)
rows = [f"[{x}, {y}, {z}]" for x, y, z in hundredths]
for i in range(0, len(rows), 5):
    print("    " + ", ".join(rows[i : i + 5]) + ",")

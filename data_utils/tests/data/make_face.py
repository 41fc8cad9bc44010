"""Makes face.png, a drawn face that MediaPipe's networks take for one, and face.bin, little-endian f32: what
MediaPipe's own FaceLandmarker finds in it (IMAGE mode): 478 landmarks x y z in pixels, then 52 blendshapes.

    pip install mediapipe==0.10.21 pillow numpy
    python make_face.py face_landmarker.task
"""

import sys

import mediapipe as mp
import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
from PIL import Image

W, H = 360, 300  # not square: the letterbox and the scale of z are part of what is checked
CENTER, ROLL, SCALE = (170.0, 150.0), 0.16, 0.82

v, u = np.mgrid[0:H, 0:W].astype(float)
dx, dy = (u - CENTER[0]) / SCALE, (v - CENTER[1]) / SCALE
x = dx * np.cos(ROLL) + dy * np.sin(ROLL)
y = -dx * np.sin(ROLL) + dy * np.cos(ROLL)


def disc(cx, cy, rx, ry, soft=1.5):
    """1 inside an ellipse, 0 outside, a soft edge of about `soft` pixels."""
    r = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return np.clip((1 - r) * min(rx, ry) / soft + 0.5, 0, 1)


def paint(image, mask, colour, amount=1.0):
    m = (mask * amount)[..., None]
    return image * (1 - m) + np.asarray(colour, float) * m


image = np.ones((H, W, 3)) * (118, 128, 140) + (v / H * 30)[..., None]
image = paint(image, disc(0, 175, 120, 75, 3), (52, 62, 92))  # shoulders
image = paint(image, disc(0, 100, 38, 62, 3), (186, 138, 116))  # neck
image = paint(image, disc(0, -22, 86, 104, 3), (50, 36, 28))  # hair
image = paint(image, np.maximum(disc(-74, 5, 10, 20), disc(74, 5, 10, 20)), (196, 146, 124))  # ears
face = np.maximum(disc(0, 0, 72, 90, 2), disc(0, 34, 58, 66, 2))
image = paint(image, face, (222, 174, 150))
image = paint(image, face * np.clip((np.abs(x) - 30) / 60, 0, 1), (160, 110, 90), 0.7)  # shade to the sides
image = paint(image, disc(0, -84, 66, 30, 8), (50, 36, 28))  # fringe
for side in (-1, 1):
    image = paint(image, disc(side * 31, -10, 22, 14, 10), (170, 118, 100), 0.6)  # eye socket
    image = paint(image, disc(side * 31, -27, 20, 4.5, 3), (60, 42, 34))  # brow
    image = paint(image, disc(side * 31, -7, 15, 6.5), (246, 244, 242))  # white
    image = paint(image, disc(side * 31, -7, 15, 6.5) * disc(side * 31, -7, 6.5, 6.5), (74, 52, 38))  # iris
    image = paint(image, disc(side * 31, -7, 2.8, 2.8), (12, 10, 10))  # pupil
    image = paint(image, disc(side * 31 - 2, -9, 1.5, 1.5), (255, 255, 255))  # glint
    image = paint(image, disc(side * 31, -13, 16, 2.5), (70, 46, 38), 0.9)  # upper lid
    image = paint(image, disc(side * 42, 28, 16, 12, 12), (232, 150, 136), 0.35)  # cheek
    image = paint(image, disc(side * 8, 30, 4, 2.6), (120, 70, 60), 0.9)  # nostril
    image = paint(image, disc(side * 13, 24, 6, 8, 5), (186, 130, 110), 0.6)  # wing of the nose
image = paint(image, disc(0, 2, 5, 28, 7), (240, 200, 178), 0.7)  # bridge
image = paint(image, disc(0, 22, 10, 9, 7), (240, 198, 176), 0.8)  # tip
image = paint(image, disc(0, 53, 25, 9.5, 2), (178, 84, 84))  # lips
image = paint(image, disc(0, 53, 19, 4.5, 1.5), (70, 26, 28))  # mouth, a little open
image = paint(image, disc(0, 50.5, 15, 2.2), (236, 232, 226))  # teeth
image = paint(image, disc(0, 71, 16, 5, 6), (190, 138, 116), 0.6)  # under the lip
pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
Image.fromarray(pixels).save("face.png", optimize=True)

options = vision.FaceLandmarkerOptions(
    base_options=tasks.BaseOptions(model_asset_path=sys.argv[1]), output_face_blendshapes=True, num_faces=1
)
result = vision.FaceLandmarker.create_from_options(options).detect(
    mp.Image(image_format=mp.ImageFormat.SRGB, data=pixels)
)
assert len(result.face_landmarks) == 1, "no face found in the drawing"
points = [[p.x * W, p.y * H, p.z * W] for p in result.face_landmarks[0]]
scores = [c.score for c in result.face_blendshapes[0]]
np.concatenate([np.ravel(points), scores]).astype("<f4").tofile("face.bin")
print(np.round(points[1], 2), np.round(scores[:4], 4))

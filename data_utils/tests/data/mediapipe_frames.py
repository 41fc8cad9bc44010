"""Fills a folder with frames of clips as PNG and what MediaPipe's own FaceLandmarker (IMAGE mode) finds in the
very same pixels: little-endian f32, 478 landmarks x y z in pixels, then 52 blendshapes. For the test that
SURFELTALK_MEDIAPIPE_DIR turns on; footage stays out of the repository.

    pip install mediapipe==0.10.21 pillow numpy
    python mediapipe_frames.py face_landmarker.task OUT clip/ori_imgs...
"""

import pathlib
import sys

import mediapipe as mp
import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
from PIL import Image

model, out, clips = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
out.mkdir(parents=True, exist_ok=True)
options = vision.FaceLandmarkerOptions(
    base_options=tasks.BaseOptions(model_asset_path=model), output_face_blendshapes=True, num_faces=1
)
landmarker = vision.FaceLandmarker.create_from_options(options)
for clip in map(pathlib.Path, clips):
    frames = sorted(clip.glob("*.jpg"), key=lambda p: int(p.stem))
    for index in np.linspace(0, len(frames) - 1, 24).astype(int):
        pixels = np.array(Image.open(frames[index]).convert("RGB"))
        height, width = pixels.shape[:2]
        result = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=pixels))
        points = [[p.x * width, p.y * height, p.z * width] for p in result.face_landmarks[0]]
        scores = [c.score for c in result.face_blendshapes[0]]
        name = out / f"{clip.parent.name}_{frames[index].stem}"
        Image.fromarray(pixels).save(name.with_suffix(".png"))
        np.concatenate([np.ravel(points), scores]).astype("<f4").tofile(name.with_suffix(".bin"))

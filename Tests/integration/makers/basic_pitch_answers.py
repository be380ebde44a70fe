"""basic_pitch_answers.py FOLDER WINDOWS: what the basic-pitch package says about windows of audio, per model file.

Writes FOLDER/nmp.npz, nmp.tflite.npz and nmp.onnx.npz with the arrays `note`, `onset` and `contour`.
"""

import sys
from pathlib import Path

import numpy as np
from basic_pitch import ICASSP_2022_MODEL_PATH
from basic_pitch.inference import Model

KINDS = {
    "nmp": Model.MODEL_TYPES.TENSORFLOW,
    "nmp.tflite": Model.MODEL_TYPES.TFLITE,
    "nmp.onnx": Model.MODEL_TYPES.ONNX,
}


def main() -> None:
    folder, windows = Path(sys.argv[1]), np.load(sys.argv[2])["windows"]
    for name, kind in KINDS.items():
        model = Model(Path(ICASSP_2022_MODEL_PATH).with_name(name))
        assert model.model_type == kind, f"{name} was not read as {kind.name}"
        np.savez(folder / f"{name}.npz", **model.predict(windows))


main()

"""silero_vad_answers.py FOLDER CHUNKS: what the silero-vad package says about chunks of sound, one after another.

Writes FOLDER/answers.npz with the probabilities `jit` and `onnx`, and FOLDER/inner.jit: the network inside
silero_vad.jit, which takes and returns its state instead of keeping it.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from silero_vad import load_silero_vad

RATE = 16000


def probabilities(model, chunks: np.ndarray) -> np.ndarray:
    model.reset_states()
    return np.array([model(torch.from_numpy(chunk), RATE).item() for chunk in chunks], dtype=np.float32)


def main() -> None:
    folder, chunks = Path(sys.argv[1]), np.load(sys.argv[2])["chunks"]
    jit = load_silero_vad()
    answers = {"jit": probabilities(jit, chunks), "onnx": probabilities(load_silero_vad(onnx=True), chunks)}
    np.savez(folder / "answers.npz", **answers)
    jit._model.save(str(folder / "inner.jit"))


with torch.no_grad():
    main()

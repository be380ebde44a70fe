"""large_torch.py FOLDER: `torch-large.pt`, a TorchScript module of 80 MB: FLOAT [any, 2000] times a matrix of [2000, 10000]."""

import sys
from pathlib import Path

import torch

with torch.no_grad():
    module = torch.jit.script(torch.nn.Linear(2000, 10_000, bias=False).eval())
    module.save(str(Path(sys.argv[1]) / "torch-large.pt"))

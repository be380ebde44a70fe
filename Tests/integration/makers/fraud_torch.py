"""fraud_torch.py FOLDER WEIGHTS: the network of support/fraud_models.py as the TorchScript module `model.pt`."""

import sys
from pathlib import Path

import numpy as np
import torch

WIDTHS = (30, 256)


class Fraud(torch.nn.Module):
    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        layers = []
        for kernel, bias in zip(list(weights.values())[::2], list(weights.values())[1::2]):
            layer = torch.nn.Linear(*kernel.shape)
            layer.weight.data, layer.bias.data = torch.from_numpy(kernel.T.copy()), torch.from_numpy(bias)
            layers += [layer, torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=1))

    def forward(self, transaction: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([transaction, reference], dim=1))


def main() -> None:
    module = Fraud(dict(np.load(sys.argv[2]))).eval()
    traced = torch.jit.trace(module, tuple(torch.zeros(1, width) for width in WIDTHS))
    traced.save(str(Path(sys.argv[1]) / "model.pt"))


main()

"""fraud_torch.py FOLDER WEIGHTS [VALUES]: the network of support/fraud_models.py, for that many values of
reference data, as the TorchScript module `model.pt`."""

import sys
from pathlib import Path

import numpy as np
import torch

TAKEN = 256
VALUES = int(sys.argv[3]) if len(sys.argv) > 3 else TAKEN
FIRST = (VALUES - TAKEN) // 2
WIDTHS = (30, VALUES) if VALUES else (30,)


class Fraud(torch.nn.Module):
    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        layers = []
        for kernel, bias in zip(list(weights.values())[::2], list(weights.values())[1::2]):
            layer = torch.nn.Linear(*kernel.shape)
            layer.weight.data, layer.bias.data = torch.from_numpy(kernel.T.copy()), torch.from_numpy(bias)
            layers += [layer, torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=1))


class FraudAlone(Fraud):
    def forward(self, transaction: torch.Tensor) -> torch.Tensor:
        return self.layers(transaction)


class FraudWithReference(Fraud):
    def forward(self, transaction: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([transaction, reference[:, FIRST : FIRST + TAKEN]], dim=1))


def main() -> None:
    network = FraudWithReference if VALUES else FraudAlone
    module = network(dict(np.load(sys.argv[2]))).eval()
    traced = torch.jit.trace(module, tuple(torch.zeros(1, width) for width in WIDTHS))
    traced.save(str(Path(sys.argv[1]) / "model.pt"))


main()

"""torch_models.py FOLDER: small TorchScript modules, each for one behaviour.

`torch-NAME.pt`; support/torch_models.py says what is in them.
"""

import sys
from pathlib import Path
from typing import Dict, List, Tuple

import torch
from torch import Tensor


class Identity(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Two(torch.nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


class Rows(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2.0


class TupleOutput(torch.nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tuple[Tensor, Tensor]:
        return a + b, a - b


class ListOutput(torch.nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> List[Tensor]:
        return [a + b, a - b]


class DictOutput(torch.nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Dict[str, Tensor]:
        return {"sum": a + b, "difference": a - b}


class Half(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.half()


class Scalar(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


class Number(torch.nn.Module):
    def forward(self, x: Tensor, factor: int) -> Tensor:
        return x * factor


class Counter(torch.nn.Module):
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.count += x.sum()
        return self.count.clone()


class Raise(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() < 0):
            raise ValueError("the sum is negative")
        return x


class TransposedOutput(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.t()


class Views(torch.nn.Module):
    """Tensors that share their data, and one of which has more elements than data."""

    def __init__(self) -> None:
        super().__init__()
        numbers = torch.arange(6, dtype=torch.float32)
        self.register_buffer("tail", numbers[3:])
        self.register_buffer("turned", numbers.reshape(2, 3).t())
        self.register_buffer("repeated", numbers[1].expand(1000))
        self.register_buffer("nothing", torch.zeros(0, 5))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.tail.sum() + self.turned[2, 1] + self.repeated.sum() + self.nothing.sum()


class Linear(torch.nn.Module):
    """With weights, so that the archive holds tensors: x W^T + b, W = 0..5, b = 1, 2."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.layer.weight.data = torch.arange(6, dtype=torch.float32).reshape(2, 3)
        self.layer.bias.data = torch.tensor([1.0, 2.0])

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


MODULES = {
    "identity": Identity,
    "two": Two,
    "rows": Rows,
    "tuple_output": TupleOutput,
    "list_output": ListOutput,
    "dict_output": DictOutput,
    "half": Half,
    "scalar": Scalar,
    "number": Number,
    "counter": Counter,
    "raise": Raise,
    "transposed_output": TransposedOutput,
    "linear": Linear,
    "views": Views,
}


def main() -> None:
    folder = Path(sys.argv[1])
    for name, module in MODULES.items():
        torch.jit.script(module().eval()).save(str(folder / f"torch-{name}.pt"))
    torch.jit.trace(Linear().eval(), torch.zeros(1, 3)).save(str(folder / "torch-traced.pt"))


with torch.no_grad():
    main()

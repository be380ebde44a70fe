"""torch_models.py FOLDER: small TorchScript modules, each for one behaviour.

`torch-NAME.pt`; support/torch_models.py says what is in them.
"""

import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

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


class NoInputs(torch.nn.Module):
    def forward(self) -> Tensor:
        return torch.ones(2)


class ManyParameters(torch.nn.Module):
    def forward(self, first: Tensor, second_one: Tensor, x3: Tensor) -> Tensor:
        return first + second_one * x3


class MixedTuple(torch.nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, int, Tensor]:
        return x, 5, x


class MaybeOutput(torch.nn.Module):
    def forward(self, x: Tensor) -> Optional[Tensor]:
        return x


class WritesInput(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x += 1
        return x


class WritesInSubmodule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = WritesInput()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x[0]) * 1


class WritesStatistics(torch.nn.Module):
    """A normalization updates the statistics that it is given."""

    def forward(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return torch.nn.functional.batch_norm(x, mean, var, training=True)


class Divides(torch.nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.tensor([int(a) % int(b), int(a) // int(b)])


class Saves(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "written-by-a-model")
        return x


class Reads(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_file("/etc/passwd", False, 4)


class SavesInSubmodule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Identity(), Saves())

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class SavesUnused(torch.nn.Module):
    @torch.jit.export
    def unused(self, x: Tensor) -> Tensor:
        torch.save(x, "written-by-a-model")
        return x

    def forward(self, x: Tensor) -> Tensor:
        return x


class SavesWhileLoading(torch.nn.Module):
    @torch.jit.export
    def __getstate__(self) -> Tuple[Tensor, bool]:
        return torch.ones(1), self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]) -> None:
        torch.save(state[0], "written-by-a-model")
        self.training = state[1]

    def forward(self, x: Tensor) -> Tensor:
        return x


def endless(x: Tensor) -> Tensor:
    turns = 0
    while bool(x.sum() > 0) or turns < 0:
        turns += 1
    return x


class Endless(torch.nn.Module):
    """Endless if the sum is positive."""

    def forward(self, x: Tensor) -> Tensor:
        return endless(x)


class EndlessInSubmodule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Identity(), Endless())

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class EndlessFork(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(endless, x))


class EndlessForkLeft(torch.nn.Module):
    """Nobody waits for what is forked."""

    def forward(self, x: Tensor) -> Tensor:
        torch.jit.fork(endless, x)
        return x


def doubled(x: Tensor) -> Tensor:
    return x * 2


class Fork(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.jit.fork(doubled, x), torch.jit.fork(doubled, x + 1)
        return torch.jit.wait(first) + torch.jit.wait(second)


class ForkRaise(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Raise()

    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(self.inner, x))


MODULES = {
    "no_inputs": NoInputs,
    "many_parameters": ManyParameters,
    "mixed_tuple": MixedTuple,
    "maybe_output": MaybeOutput,
    "writes_input": WritesInput,
    "writes_in_submodule": WritesInSubmodule,
    "writes_statistics": WritesStatistics,
    "divides": Divides,
    "saves": Saves,
    "reads": Reads,
    "saves_in_submodule": SavesInSubmodule,
    "saves_unused": SavesUnused,
    "saves_while_loading": SavesWhileLoading,
    "endless": Endless,
    "endless_in_submodule": EndlessInSubmodule,
    "endless_fork": EndlessFork,
    "endless_fork_left": EndlessForkLeft,
    "fork": Fork,
    "fork_raise": ForkRaise,
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

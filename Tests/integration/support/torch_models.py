"""Small TorchScript modules, each for one behaviour. Every function returns the serialised module.

Unless told otherwise `forward` takes a tensor `x` of any type and shape and returns a tensor.
"""

from __future__ import annotations

from support.workshop import made_with_torch


def identity() -> bytes:
    return _module("identity")


def two() -> bytes:
    """`a` * `b`."""
    return _module("two")


def rows() -> bytes:
    """Twice the input: can be batched."""
    return _module("rows")


def linear() -> bytes:
    """x W^T + b with W = [[0, 1, 2], [3, 4, 5]] and b = [1, 2]."""
    return _module("linear")


def traced() -> bytes:
    """The same, traced instead of scripted."""
    return _module("traced")


def tuple_output() -> bytes:
    """The sum and the difference of `a` and `b`."""
    return _module("tuple_output")


def list_output() -> bytes:
    """The same as a list, whose length TorchScript does not know: to be refused."""
    return _module("list_output")


def dict_output() -> bytes:
    """The same as a dictionary: has no outputs."""
    return _module("dict_output")


def number() -> bytes:
    """`x` times `factor`, which is an int and no tensor."""
    return _module("number")


def half() -> bytes:
    """The input in a type that the module has no name for."""
    return _module("half")


def scalar() -> bytes:
    """The sum, of rank 0."""
    return _module("scalar")


def transposed_output() -> bytes:
    """A matrix transposed by its strides only: the bytes of the result are not in its order."""
    return _module("transposed_output")


def counter() -> bytes:
    """The sum of all inputs of all runs, FLOAT [1]: state inside the module."""
    return _module("counter")


def views() -> bytes:
    """x + 1017; its buffers share data, or repeat it, or have none: (3 + 4 + 5) + 5 + 1000 + 0."""
    return _module("views")


def failing() -> bytes:
    """The input, or an exception if its sum is negative."""
    return _module("raise")


def no_inputs() -> bytes:
    """Two ones, of nothing."""
    return _module("no_inputs")


def many_parameters() -> bytes:
    """`first` + `second_one` * `x3`."""
    return _module("many_parameters")


def mixed_tuple() -> bytes:
    """The input twice, with a number between."""
    return _module("mixed_tuple")


def maybe_output() -> bytes:
    """The input, declared as something that may be missing: has no outputs."""
    return _module("maybe_output")


def writes_input() -> bytes:
    """Adds 1 to the input itself, and returns it."""
    return _module("writes_input")


def writes_in_submodule() -> bytes:
    """Adds 1 to the first row of the input, and returns the row: by a part of the module, through a view."""
    return _module("writes_in_submodule")


def writes_statistics() -> bytes:
    """Normalizes `x` [n, c] and updates `mean` and `var` [c]."""
    return _module("writes_statistics")


def divides() -> bytes:
    """The remainder and the quotient of the integers `a` and `b`."""
    return _module("divides")


def fork() -> bytes:
    """4 x + 2, in two parts that may run at the same time."""
    return _module("fork")


def fork_raise() -> bytes:
    """As `failing`, in a part that may run at the same time."""
    return _module("fork_raise")


def endless(where: str = "") -> bytes:
    """Returns the input, but never if its sum is positive. `where`: "in_submodule", "fork" or "fork_left"."""
    return _module(f"endless_{where}" if where else "endless")


# What uses the server's files, and where.
FILE_USERS = ("saves", "reads", "saves_in_submodule", "saves_unused", "saves_while_loading")


def file_user(name: str) -> bytes:
    """One of FILE_USERS; the file is `written-by-a-model`."""
    return _module(name)


def _module(name: str) -> bytes:
    return (made_with_torch("torch_models.py") / f"torch-{name}.pt").read_bytes()

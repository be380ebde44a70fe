"""How the server reads numbers, as far as the contract fixes it."""

from __future__ import annotations

import re

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}").fullmatch
_PLAIN_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?").fullmatch
_INFINITY = re.compile(rb"-?(?:inf|infinity)", re.IGNORECASE).fullmatch
_PERHAPS = re.compile(rb"[+-]?(?:0[xX])?[0-9a-fA-FxXpPeE.+-]+|[+-]?(?:inf|infinity)", re.IGNORECASE).fullmatch


def integer(argument: bytes) -> int | None:
    """The canonical 64-bit integer that the argument spells, or None."""
    if not _INTEGER(argument):
        return None
    value = int(argument)
    return value if -(2**63) <= value < 2**63 else None


def is_double(argument: bytes) -> bool | None:
    """Whether the argument is a number for FLOAT and DOUBLE; None where servers differ (hex, ``+1``, ``.5``, tiny)."""
    if _PLAIN_NUMBER(argument):
        magnitude = abs(float(argument))
        if magnitude == float("inf"):
            return False
        return True if magnitude > 1e-300 or _is_zero(argument) else None
    if _INFINITY(argument):
        return True
    return None if _PERHAPS(argument) else False


def is_count(argument: bytes) -> bool | None:
    """Whether the argument is a non-negative integer; None for forms such as ``3.0`` that may be taken for one."""
    value = integer(argument)
    if value is not None:
        return value >= 0
    if _PLAIN_NUMBER(argument):
        number = float(argument)
        return None if 0 <= number < 2**63 and number.is_integer() else False
    return None if is_double(argument) is None else False


def _is_zero(argument: bytes) -> bool:
    mantissa = re.split(rb"[eE]", argument)[0]
    return not mantissa.strip(b"-0.")

"""Runs the checks of a client program one after the other and reports each by itself.

A program defines functions ``check_NAME(session)`` and ends with ``run(...)``. It runs in the Python that holds the
clients, which has neither pytest nor what the tests import.
"""

from __future__ import annotations

import functools
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PREFIX = "check_"
WAIT_SECONDS = 10.0


class Recorder:
    """Notes which public methods of some classes are called; it stands between the caller and the method."""

    def __init__(self, *classes: type) -> None:
        self.not_called: set[str] = set()
        for cls in classes:
            for name, method in list(vars(cls).items()):
                bound = isinstance(method, staticmethod | classmethod)
                if name.startswith("_") or not (bound or callable(method)):
                    continue
                self.not_called.add(f"{cls.__name__}.{name}")
                noting = self._noting(f"{cls.__name__}.{name}", method.__func__ if bound else method)
                setattr(cls, name, type(method)(noting) if bound else noting)

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noting(*args: Any, **kwargs: Any) -> Any:
            self.not_called.discard(name)
            return method(*args, **kwargs)

        return noting


def run(
    report: str, session: Any, before_each: Callable[[Any], None], recorder: Recorder, left_out: Sequence[str] = ()
) -> None:
    """The checks of the program that is running, in the order in which they stand, but for those left out.

    Every line of the report is a JSON object: one per check, and one with the methods that no check called.
    """
    with Path(report).open("w") as lines:

        def say(**fields: Any) -> None:
            print(json.dumps(fields), file=lines, flush=True)

        for name, check in list(vars(sys.modules["__main__"]).items()):
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in left_out:
                started = time.monotonic()
                error = _error_of(check, session, before_each)
                say(check=name.removeprefix(PREFIX), error=error, seconds=round(time.monotonic() - started, 3))
        say(not_called=sorted(recorder.not_called))


def _error_of(check: Callable[[Any], None], session: Any, before_each: Callable[[Any], None]) -> str | None:
    try:
        before_each(session)
        check(session)
    except Exception:
        return traceback.format_exc()
    return None


@contextmanager
def fails(kind: type[Exception], text: str, whole: bool = True) -> Iterator[None]:
    """The block must raise that exception with that text, or with a text that contains it."""
    try:
        yield
    except kind as error:
        seen = str(error)
    else:
        seen = None
    assert seen is not None, f"no {kind.__name__}; expected: {text}"
    assert seen == text if whole else text in seen, f"expected: {text}\nseen: {seen}"


def eventually(probe: Callable[[], Any], what: str) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not probe():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS:g} s: {what}"
        time.sleep(0.002)


def equal(seen: Any, expected: Any) -> None:
    """Equal in value and in type, whatever is inside."""
    assert seen == expected and repr(seen) == repr(expected), f"expected: {expected!r}\nseen: {seen!r}"


def each(cases: Iterable[Any], body: Callable[..., None]) -> None:
    """The same for several cases; a failure names its case."""
    for case in cases:
        try:
            body(*case) if isinstance(case, tuple) else body(case)
        except Exception as error:
            raise AssertionError(f"with {case!r}") from error


"""Judges replies and keeps the picture of the keyspace that the next judgement needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from support.resp import OK, Error, Status

from reliability import model_oracle
from reliability.expectation import Expectation
from reliability.keyspace import OTHER_TYPE, SOME_TENSOR, UNKNOWN, Keyspace, ModelValue, is_tensor
from reliability.tensor_oracle import TensorOracle

Command = Sequence[bytes]


class Place(Enum):
    """Where a command runs."""

    DIRECT = "direct"
    TRANSACTION = "MULTI"
    SCRIPT = "Lua"


class Oracle:
    """The replies must be shown in the order in which the commands ran.

    ``known_models`` gives the counts of inputs and outputs of the model files that are sent undamaged.
    """

    def __init__(self, size_limit: int, known_models: Mapping[bytes, ModelValue]) -> None:
        self.keys: Keyspace = {}
        self._tensors = TensorOracle(size_limit)
        self._known_models = known_models
        # How many replies were certain to succeed or to fail, and how many were not foreseen.
        self.decided = 0
        self.undecided = 0

    def complaint(self, command: Command, reply: Any, place: Place = Place.DIRECT) -> str | None:
        """What is wrong with the reply to a command, or None."""
        judge = self._JUDGES.get(command[0].upper())
        if judge is None:
            return None if isinstance(reply, Error) else f"an unknown command was accepted: {reply!r:.200}"
        return judge(self, command, reply, place)

    def set_up(self, key: bytes, value: Any) -> None:
        """Notes what was stored by other means."""
        self.keys[key] = value

    def _compare(self, expectation: Expectation, reply: Any) -> str | None:
        if expectation.succeeds is None:
            self.undecided += 1
        else:
            self.decided += 1
        return expectation.complaint(reply)

    def _tensor_set(self, command: Command, reply: Any, place: Place) -> str | None:
        expectation, value = self._tensors.expect_set(command, self.keys)
        complaint = self._compare(expectation, reply)
        if complaint or isinstance(reply, Error):
            return complaint
        self.keys[command[1]] = value or SOME_TENSOR
        return _not_ok(reply)

    def _tensor_get(self, command: Command, reply: Any, place: Place) -> str | None:
        complaint = self._compare(self._tensors.expect_get(command, self.keys), reply)
        # Lua changes the form of replies.
        if complaint or isinstance(reply, Error) or place is Place.SCRIPT:
            return complaint
        return self._tensors.complaint_about_content(command, self.keys, reply)

    def _model_store(self, command: Command, reply: Any, place: Place) -> str | None:
        may_block = place is Place.DIRECT
        expectation = model_oracle.expect_store(command, self.keys, self._known_models, may_block)
        complaint = self._compare(expectation, reply)
        if complaint or isinstance(reply, Error):
            return complaint
        known = self._known_models.get(model_oracle.stored_blob(command))
        # In a transaction the key changes at once, and the model may turn out to be broken.
        self.keys[command[1]] = known if known and may_block else ModelValue(None, None)
        return _not_ok(reply)

    def _model_execute(self, command: Command, reply: Any, place: Place) -> str | None:
        expectation = model_oracle.expect_execute(command, self.keys, place is Place.DIRECT)
        complaint = self._compare(expectation, reply)
        if complaint or expectation.succeeds is False:
            return complaint
        outputs = model_oracle.output_keys(command)
        if reply == OK:
            # An output without tensor form is not written: the key keeps what it had.
            self.keys.update((key, SOME_TENSOR if is_tensor(self.keys.get(key)) else UNKNOWN) for key in outputs)
        elif isinstance(reply, Error):
            # The outputs before one whose key is of another type have been written.
            self.keys.update((key, UNKNOWN) for key in outputs if self.keys.get(key) is not OTHER_TYPE)
        elif reply != Status("TIMEDOUT"):
            return f"neither OK nor TIMEDOUT nor an error: {reply!r:.200}"
        return None

    def _model_get(self, command: Command, reply: Any, place: Place) -> str | None:
        return self._compare(model_oracle.expect_get(command, self.keys), reply)

    def _model_delete(self, command: Command, reply: Any, place: Place) -> str | None:
        expectation = model_oracle.expect_delete(command, self.keys)
        if not isinstance(reply, Error) and len(command) > 1:
            self.keys.pop(command[1], None)
        return self._compare(expectation, reply)

    def _model_scan(self, command: Command, reply: Any, place: Place) -> str | None:
        return self._compare(model_oracle.expect_scan(command), reply)

    def _info(self, command: Command, reply: Any, place: Place) -> str | None:
        return self._compare(model_oracle.expect_info(command), reply)

    def _config(self, command: Command, reply: Any, place: Place) -> str | None:
        return self._compare(model_oracle.expect_config(command), reply)

    _JUDGES = {
        b"AI.TENSORSET": _tensor_set,
        b"AI.TENSORGET": _tensor_get,
        b"AI.MODELSTORE": _model_store,
        b"AI.MODELEXECUTE": _model_execute,
        b"AI.MODELGET": _model_get,
        b"AI.MODELDEL": _model_delete,
        b"AI._MODELSCAN": _model_scan,
        b"AI.INFO": _info,
        b"AI.CONFIG": _config,
    }


def is_known_command(name: bytes) -> bool:
    return name.upper() in Oracle._JUDGES


def _not_ok(reply: Any) -> str | None:
    return None if reply == OK else f"not OK: {reply!r:.200}"


"""Reference section 10.1: layouts 0 to 3 of the data types, as earlier versions of RedisAI wrote them, are read."""

import numpy as np
import pytest

from support import dump, onnx_models, tf_models
from support.commands import execute, get_tensor, pairs, set_tensor
from support.dump import Signed
from support.resp import OK, Error
from support.scripts import entry_point, run_script
from support.wait import eventually

MODEL = onnx_models.mul_by_weights()
SOURCE = entry_point("first", "return tensors[0]") + "def sub(a: Tensor, b: Tensor):\n    return a - b\n"
TF_ID, ONNX_ID = 0, 3
CPU = 1


FLOATS = np.arange(1, 7, dtype=np.float32)


def old_tensor(code, bits, shape, strides, data, offset=0, lanes=1):
    """Layouts 0 to 3: the device, DLPack's fields, and the data."""
    dims = [Signed(number) for number in (*shape, *strides)]
    return [CPU, Signed(-1), bits, code, lanes, len(shape), *dims, offset, data]


class TestTensors:
    @pytest.mark.parametrize("version", [0, 1, 2, 3])
    @pytest.mark.parametrize(
        "code, bits, shape, strides, data, reply",
        [
            (2, 32, (1, 2), (2, 1), b"\0\0\x80?\0\0\0@", [b"FLOAT", [1, 2], [b"1", b"2"]]),
            (2, 64, (1,), (1,), np.float64(0.5).tobytes(), [b"DOUBLE", [1], [b"0.5"]]),
            (0, 8, (2,), (1,), b"\xff\1", [b"INT8", [2], [-1, 1]]),
            (0, 64, (), (), (7).to_bytes(8, "little"), [b"INT64", [], [7]]),
            (1, 16, (1,), (1,), b"\xff\xff", [b"UINT16", [1], [65535]]),
            (6, 8, (2,), (1,), b"\1\0", [b"BOOL", [2], [1, 0]]),
            (0, 32, (2, 0), (0, 1), b"", [b"INT32", [2, 0], []]),
        ],
        ids=["float", "double", "int8", "scalar", "uint16", "bool", "zero-dim"],
    )
    def test_read(self, raw, version, code, bits, shape, strides, data, reply):
        values = old_tensor(code, bits, shape, strides, data)
        assert raw.call("RESTORE", "t", 0, dump.encode("AI_TENSOR", version, values)) == OK
        got = raw.call("AI.TENSORGET", "t", "META", "VALUES")
        assert [got[1], got[3], got[5]] == reply

    @pytest.mark.parametrize("version", [0, 1, 2, 3])
    @pytest.mark.parametrize(
        "shape, strides, offset, expected",
        [
            ((2, 3), (1, 2), 0, [[1, 3, 5], [2, 4, 6]]),
            ((2, 2), (3, 1), 4, [[2, 3], [5, 6]]),
            ((2,), (1,), 8, [3, 4]),
            ((3, 1), (1, 10**12), 0, [[1], [2], [3]]),
            ((1, 6), (-7, 1), 0, [[1, 2, 3, 4, 5, 6]]),
            ((2, 2), (0, 1), 0, [[1, 2], [1, 2]]),
            ((3,), (2,), 0, [1, 3, 5]),
            ((2, 1, 3), (3, 99, 1), 0, [[[1, 2, 3]], [[4, 5, 6]]]),
            ((), (), 20, 6),
        ],
        ids=["transposed", "slice", "tail", "far", "backwards in place", "repeated", "steps", "one between", "scalar"],
    )
    def test_strides(self, raw, version, shape, strides, offset, expected):
        """What lies apart is read as the shape says; the stride of a dimension of one does not matter."""
        data = FLOATS[: np.prod(shape, dtype=int)] if offset == 0 and shape == (3, 1) else FLOATS
        values = old_tensor(2, 32, shape, strides, data.tobytes(), offset)
        assert raw.call("RESTORE", "t", 0, dump.encode("AI_TENSOR", version, values)) == OK
        assert np.array_equal(get_tensor(raw, "t"), np.array(expected, dtype=np.float32))

    @pytest.mark.parametrize("version", [0, 3])
    def test_written_anew_in_layout_4(self, raw, version):
        payload = dump.encode("AI_TENSOR", version, old_tensor(0, 8, (2,), (1,), b"\1\2"))
        assert raw.call("RESTORE", "t", 0, payload) == OK
        saved = dump.decode(raw.call("DUMP", "t"))
        assert (saved.version, saved.values) == (4, [0, 8, 1, 2, b"\1\2"])

    @pytest.mark.parametrize(
        "values",
        [
            [],
            old_tensor(2, 32, (2,), (1,), b"\0\0\0\0"),
            old_tensor(2, 32, (2**62,), (1,), b""),
            old_tensor(2, 32, (-1,), (1,), b""),
            old_tensor(9, 32, (1,), (1,), b"\0\0\0\0"),
            [2, 0, *old_tensor(2, 32, (1,), (1,), b"\0\0\0\0")[2:]],
            old_tensor(2, 32, (1,), (1,), b"\0\0\0\0")[:-1],
            [*old_tensor(2, 32, (1,), (1,), b"\0\0\0\0")[:5], 2**62, 1, 1, 0, b"\0\0\0\0"],
            old_tensor(2, 32, (1,), (1,), b"\0\0\0\0", lanes=4),
            old_tensor(2, 32, (1,), (1,), b"\0\0\0\0", offset=4),
            old_tensor(2, 32, (1,), (1,), b"\0\0\0\0", offset=2**64 - 4),
            old_tensor(2, 32, (2,), (2,), bytes(8)),
            old_tensor(2, 32, (2,), (-1,), bytes(8)),
            old_tensor(2, 32, (2, 2), (2**62, 2**62), bytes(16)),
            old_tensor(2, 32, (3, 2), (2**62, 2**63 - 1), bytes(24)),
            old_tensor(2, 32, (10**6, 10**6), (0, 0), bytes(4)),
            old_tensor(2, 32, (10**12,), (0,), bytes(4)),
            old_tensor(2, 32, (0, 2**62, 4), (1, 1, 1), b""),
            old_tensor(6, 8, (2,), (1,), b"\1\2"),
            old_tensor(6, 1, (2,), (1,), b"\1\0"),
            old_tensor(7, 8, (1,), (1,), b"a\0"),
            old_tensor(2, 32, (2,), (1,), bytes(12)),
        ],
        ids=[
            *("empty", "short", "huge", "negative", "type", "device", "cut", "rank", "lanes", "offset", "huge offset"),
            *("stride", "backwards", "strides overflow", "sum overflows", "repeated", "repeated row", "zero and huge"),
            *("bool", "bool of one bit", "string", "long"),
        ],
    )
    def test_hostile(self, server, raw, values):
        for version in range(4):
            reply = raw.call("RESTORE", "t", 0, dump.encode("AI_TENSOR", version, values))
            assert reply == Error("ERR Bad data format"), (version, reply)
        assert server.responsive()


def old_model(version, backend, blob, inputs=(), outputs=(), device=b"CPU\0", tag=b"v1"):
    """Layout 0 has a tag with a NUL and one blob; 1 has chunks; 2 and 3 have minbatchtimeout."""
    names = [len(inputs), *(name + b"\0" for name in inputs), len(outputs), *(name + b"\0" for name in outputs)]
    head = [backend, device, tag + (b"\0" if version == 0 else b""), 8, 2]
    if version >= 2:
        head.append(50)
    half = len(blob) // 2
    return [*head, *names, *([blob] if version == 0 else [len(blob), 2, blob[:half], blob[half:]])]


class TestModels:
    @pytest.mark.parametrize("version", [0, 1, 2, 3])
    def test_read(self, raw, version):
        payload = dump.encode("AI__MODEL", version, old_model(version, ONNX_ID, MODEL))
        assert raw.call("RESTORE", "m", 0, payload) == OK
        set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
        assert raw.call("EXISTS", "m") == 1
        eventually(lambda: pairs(raw.call("AI.MODELGET", "m"))["inputs"] == [b"x"], "the model is ready")
        meta = pairs(raw.call("AI.MODELGET", "m"))
        timeout = 50 if version >= 2 else 0
        assert (meta["backend"], meta["device"], meta["tag"]) == (b"ONNX", b"CPU", b"v1")
        assert (meta["batchsize"], meta["minbatchsize"], meta["minbatchtimeout"]) == (8, 2, timeout)
        assert (meta["outputs"], meta["blob"]) == ([b"y"], MODEL)
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [[1, 2], [3, 4], [5, 6]]

    @pytest.mark.parametrize("version", [0, 1, 2, 3])
    def test_tensorflow(self, raw, version):
        values = old_model(version, TF_ID, tf_models.mul(), [b"a", b"b"], [b"mul"])
        assert raw.call("RESTORE", "m", 0, dump.encode("AI__MODEL", version, values)) == OK
        set_tensor(raw, "x", [[1, 2], [3, 4]])
        assert execute(raw, "m", ["x", "x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [[1, 4], [9, 16]]

    @pytest.mark.parametrize("version", [0, 1, 2, 3])
    def test_tensorflow_without_names(self, raw, version):
        """It is loaded, shows none, and is saved and read again so."""
        payload = dump.encode("AI__MODEL", version, old_model(version, TF_ID, tf_models.mul()))
        assert raw.call("RESTORE", "m", 0, payload) == OK
        meta = pairs(raw.call("AI.MODELGET", "m"))
        assert (meta["inputs"], meta["outputs"], meta["blob"]) == ([], [], tf_models.mul())
        eventually(lambda: pairs(raw.call("AI.INFO", "m", "STATE"))["state"] == b"ready", "the model is ready")
        assert raw.call("RESTORE", "copy", 0, raw.call("DUMP", "m")) == OK
        assert raw.call("AI.MODELGET", "copy", "BLOB") == tf_models.mul()

    @pytest.mark.parametrize(
        "values",
        [
            [ONNX_ID, b"CPU\0", b"t\0", 0, 0, 0, 0],
            [ONNX_ID, b"CPU\0", b"t\0", 0, 0, 2**40, MODEL],
            [17, b"CPU\0", b"t\0", 0, 0, 0, 0, MODEL],
            [ONNX_ID, b"TPU\0", b"t\0", 0, 0, 0, 0, MODEL],
            [ONNX_ID, b"CPU\0", b"t\0", 2**63, 0, 0, 0, MODEL],
        ],
        ids=["no blob", "names", "engine", "device", "batch size"],
    )
    def test_hostile(self, server, raw, values):
        for version in range(4):
            reply = raw.call("RESTORE", "m", 0, dump.encode("AI__MODEL", version, values))
            assert reply == Error("ERR Bad data format"), (version, reply)
        assert server.responsive()

    @pytest.mark.parametrize("version", [0, 3])
    def test_written_anew_in_layout_4(self, raw, version):
        payload = dump.encode("AI__MODEL", version, old_model(version, ONNX_ID, MODEL))
        assert raw.call("RESTORE", "m", 0, payload) == OK
        saved = dump.decode(raw.call("DUMP", "m"))
        assert saved.version == 4
        assert saved.values[:6] == [ONNX_ID, b"CPU\0", b"v1", 8, 2, 50 if version else 0]


class TestScripts:
    def values(self, version, tag=b"v1"):
        """Layout 3 has entry points, those before have none."""
        head = [b"CPU\0", tag + (b"\0" if version == 0 else b""), SOURCE.encode() + b"\0"]
        return [*head, *([1, b"first\0"] if version == 3 else [])]

    @pytest.mark.parametrize("version", [0, 1, 2, 3])
    def test_read(self, raw, version):
        assert raw.call("RESTORE", "s", 0, dump.encode("AI_SCRIPT", version, self.values(version))) == OK
        entry_points = [b"first"] if version == 3 else []
        assert raw.call("AI.SCRIPTGET", "s") == [
            *(b"device", b"CPU", b"tag", b"v1", b"Entry Points", entry_points, b"source", SOURCE.encode())
        ]
        set_tensor(raw, "x", [5])
        set_tensor(raw, "z", [2])
        assert run_script(raw, "s", "sub", ["x", "z"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [3]

    def test_written_anew_in_layout_4(self, raw):
        assert raw.call("RESTORE", "s", 0, dump.encode("AI_SCRIPT", 1, self.values(1))) == OK
        saved = dump.decode(raw.call("DUMP", "s"))
        assert (saved.version, saved.values) == (4, [b"CPU\0", b"v1", SOURCE.encode() + b"\0", 0])

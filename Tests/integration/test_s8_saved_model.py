"""SavedModels, an extension: their folder as an archive in the place of a frozen graph."""

import os
import tarfile
import tempfile

import numpy as np
import pytest

from support import saved_models
from support.commands import execute, get_tensor, pairs, set_tensor
from support.persistence import ModelIsKept
from support.resp import OK, Error
from support.saved_models import FORMATS, link, pack, tar

pytestmark = pytest.mark.one_server
# The library is opened once, and not once more to try each model out: test_checked has the default.
MODULE_ARGS = ("MODEL_CHECK", "NO", "MODEL_EXECUTION_TIMEOUT", "1000")
TOPS = ["", "./", "model/", "./a folder/"]
ROW = [[1.0, 2.0, 3.0]]
NO_SIGNATURE = Error("ERR SavedModel: there is no signature serving_default; INPUTS and OUTPUTS must be given")
SAVES = Error("ERR TF graph holds the operation SaveV2 (node SaveV2), which is not allowed")
NOTHING_INSIDE = Error("ERR SavedModel archive: there is no saved_model.pb in it")
CUT_SHORT = Error("ERR SavedModel archive: it is cut short")
TOO_LARGE = Error("ERR SavedModel archive: it unpacks to too many bytes")


@pytest.fixture(scope="module", autouse=True)
def unpacked(tmp_path_factory):
    """Where the server unpacks: nothing may be left there."""
    folder = tmp_path_factory.mktemp("unpacked")
    tempfile.gettempdir()  # decided before, for the servers' own directories
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def nothing_is_left(server, unpacked):
    """Neither in the folder for temporary files nor in the server's directory."""
    before = set(os.listdir(server.directory))
    yield
    assert os.listdir(unpacked) == []
    assert set(os.listdir(server.directory)) - before <= {"dump.rdb"}


def store_command(blob, inputs=(), outputs=(), *options, device="CPU"):
    names = ["INPUTS", len(inputs), *inputs, "OUTPUTS", len(outputs), *outputs] if inputs or outputs else []
    return ["AI.MODELSTORE", "m", "TF", device, *options, *names, "BLOB", blob]


def store(raw, blob, *names):
    reply = raw.call(*store_command(blob, *names))
    assert reply == OK, reply


def assert_two_works(raw):
    """`a` is 1, `b` is the row: difference (a - b) * 2, sum (a + b) * 2."""
    set_tensor(raw, "a", [[1.0, 1.0, 1.0]])
    set_tensor(raw, "b", ROW)
    assert execute(raw, "m", ["a", "b"], ["difference", "sum"]) == OK
    assert get_tensor(raw, "difference").tolist() == [[0, -2, -4]]
    assert get_tensor(raw, "sum").tolist() == [[4, 6, 8]]


def sides(raw):
    meta = pairs(raw.call("AI.MODELGET", "m", "META"))
    return meta["inputs"], meta["outputs"]


@pytest.mark.every_server
class TestFormats:
    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize("top", TOPS, ids=repr)
    def test_every_form_and_top_folder(self, raw, form, top):
        blob = pack(saved_models.two(), form, top)
        store(raw, blob)
        assert_two_works(raw)
        assert raw.call("AI.MODELGET", "m", "BLOB") == blob

    def test_other_files_do_not_matter(self, raw):
        store(raw, pack(saved_models.two() | {"README": b"x", "assets.extra/y": b"z", "deep/er/file": b""}, "zip"))
        assert_two_works(raw)

    def test_in_pieces(self, raw):
        blob = pack(saved_models.two(), "tar.gz")
        command = store_command(blob[:1])
        assert raw.call(*command, *(blob[i : i + 100] for i in range(1, len(blob), 100))) == OK
        assert_two_works(raw)


class TestNames:
    def test_of_the_serving_signature(self, raw):
        """In alphabetical order, whatever the order in the program was."""
        store(raw, pack(saved_models.two()))
        assert sides(raw) == ([b"a", b"b"], [b"difference", b"sum"])

    def test_chosen(self, raw):
        store(raw, pack(saved_models.two()), ("b", "a"), ("sum",))
        assert sides(raw) == ([b"b", b"a"], [b"sum"])
        set_tensor(raw, "b", ROW)
        assert execute(raw, "m", ["b", "b"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [[4, 8, 12]]

    def test_nodes_of_the_graph(self, raw):
        """Names that the signature does not have are nodes, with or without a port."""
        store(raw, pack(saved_models.without_serving()), ("second_x",), ("PartitionedCall:0",))
        assert sides(raw) == ([b"second_x"], [b"PartitionedCall:0"])
        set_tensor(raw, "x", ROW)
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [[-1, -2, -3]]

    @pytest.mark.parametrize("name", ["x", "a:1", "a:0", "sum:x", "", "A"], ids=repr)
    def test_wrong_names(self, raw, name):
        text = f"{name} is neither in the signature nor in the graph"
        archive = pack(saved_models.two())
        assert raw.call(*store_command(archive, (name,), ("sum",))) == Error(f"ERR SavedModel: input {text}")
        assert raw.call(*store_command(archive, ("a", "b"), (name,))) == Error(f"ERR SavedModel: output {text}")
        assert raw.call("EXISTS", "m") == 0

    def test_no_serving_signature(self, raw):
        assert raw.call(*store_command(pack(saved_models.without_serving()))) == NO_SIGNATURE

    @pytest.mark.parametrize(
        "words, text",
        [
            ("INPUTS 1 a BLOB", "ERR OUTPUTS not specified for TF"),
            ("OUTPUTS 1 sum BLOB", "ERR INPUTS not specified for TF"),
            ("INPUTS 0 OUTPUTS 1 sum BLOB", "ERR Invalid argument for input_count"),
            ("INPUTS 1 a OUTPUTS 0 BLOB", "ERR Invalid argument for output_count"),
        ],
    )
    def test_half_the_names(self, raw, words, text):
        assert raw.call("AI.MODELSTORE", "m", "TF", "CPU", *words.split(), pack(saved_models.two())) == Error(text)

    def test_missing_input_at_the_run(self, raw):
        store(raw, pack(saved_models.two()), ("a",), ("sum",))
        set_tensor(raw, "a", ROW)
        reply = execute(raw, "m", ["a"], ["y"])
        assert isinstance(reply, Error) and "serving_default_b" in reply.text, reply


class TestContent:
    def test_a_vocabulary(self, raw):
        store(raw, pack(saved_models.vocabulary(), "zip"))
        assert raw.call("AI.TENSORSET", "x", "STRING", 3, "VALUES", "two", "zero", "none") == OK
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [2, 0, -1]

    def test_a_vocabulary_without_its_file(self, raw):
        files = saved_models.vocabulary()
        del files["assets/words.txt"]
        reply = raw.call(*store_command(pack(files)))
        assert isinstance(reply, Error) and "words.txt" in reply.text, reply
        assert "redisai-savedmodel" not in reply.text

    def test_variables_are_missing(self, raw):
        files = {"saved_model.pb": saved_models.two()["saved_model.pb"]}
        store(raw, pack(files))
        set_tensor(raw, "a", ROW)
        reply = execute(raw, "m", ["a", "a"], ["x", "y"])
        assert isinstance(reply, Error) and "redisai-savedmodel" not in reply.text, reply

    def test_saving_is_refused_where_a_run_reaches_it(self, raw, unpacked):
        assert raw.call(*store_command(pack(saved_models.writer()))) == SAVES
        reply = raw.call(*store_command(pack(saved_models.two()), ("saver_filename",), ("StatefulPartitionedCall_1",)))
        assert reply == SAVES
        assert raw.call("EXISTS", "m") == 0

    def test_saving_where_it_is_allowed(self, start_server, unpacked):
        server = start_server(*MODULE_ARGS, "ALLOW_UNSAFE_OPERATIONS", "YES")
        raw = server.raw()
        store(raw, pack(saved_models.writer()))
        path = str(server.directory / "checkpoint")
        assert raw.call("AI.TENSORSET", "x", "STRING", "VALUES", path) == OK
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert [name for name in os.listdir(server.directory) if name.startswith("checkpoint")] != []

    def test_an_endless_loop_is_interrupted(self, raw):
        """The model is loaded anew afterwards, from the bytes that were stored."""
        store(raw, pack(saved_models.loop()))
        set_tensor(raw, "endless", [np.inf])
        set_tensor(raw, "ten", [10])
        reply = execute(raw, "m", ["endless"], ["y"])
        assert isinstance(reply, Error) and reply.text.startswith("Loop execution was cancelled."), reply
        assert execute(raw, "m", ["ten"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [10]

    @pytest.mark.parametrize(
        "content, text",
        [
            (b"", "ERR SavedModel: no graph has the tag serve, and no other"),
            (b"junk", "ERR SavedModel: saved_model.pb cannot be read"),
        ],
    )
    def test_no_saved_model(self, raw, content, text):
        assert raw.call(*store_command(pack({"saved_model.pb": content}, "zip"))) == Error(text)

    @pytest.mark.parametrize("device", ["GPU", "GPU:0"])
    def test_gpu_that_is_not_there(self, raw, device):
        reply = raw.call(*store_command(pack(saved_models.two()), device=device))
        assert reply == Error("ERR GPU requested but TF couldn't find CUDA")


def leaving(name):
    return Error(f"ERR SavedModel archive: {name} leads out of the archive")


class TestHostileArchives:
    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize(
        "name", ["../evil", "/tmp/redisai-evil", "variables/../../evil", "assets/..", "a/../../../../tmp/redisai-evil"]
    )
    def test_names_that_lead_out(self, server, raw, form, name):
        files = saved_models.two() | {name: b"evil"}
        assert raw.call(*store_command(pack(files, form))) == leaving(name)
        assert not os.path.exists("/tmp/redisai-evil") and not (server.directory.parent / "evil").exists()

    @pytest.mark.parametrize(
        "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE], ids=repr
    )
    @pytest.mark.parametrize("target", ["/etc", "../..", "saved_model.pb"])
    def test_links_and_devices(self, raw, kind, target):
        blob = tar(link("variables", target, kind), *self.entries())
        expected = Error("ERR SavedModel archive: variables is neither file nor folder")
        assert raw.call(*store_command(blob)) == expected

    @staticmethod
    def entries():
        return [(tarfile.TarInfo(name), content) for name, content in saved_models.two().items()]

    @pytest.mark.parametrize("form", ["tar.gz", "zip"])
    def test_bombs(self, raw, form):
        files = saved_models.two() | {"assets/zeros": bytes(100 << 20)}
        assert raw.call(*store_command(pack(files, form))) == TOO_LARGE

    def test_very_many_files(self, raw):
        files = saved_models.two() | {f"assets/{i}": b"" for i in range(10_001)}
        assert raw.call(*store_command(pack(files))) == Error("ERR SavedModel archive: it has too many entries")

    def test_folders_in_folders(self, raw):
        files = saved_models.two() | {"assets/" + "x/" * 40 + "y": b""}
        expected = Error("ERR SavedModel archive: folders within folders, too many")
        assert raw.call(*store_command(pack(files))) == expected

    @pytest.mark.parametrize("form", FORMATS)
    def test_cut_short(self, raw, form):
        """Anywhere before the padding that a tar ends with."""
        blob = pack(saved_models.two(), form)
        end = len(blob) * (0.7 if form == "tar" else 0.98)
        for length in range(600, int(end), len(blob) // 20):
            assert raw.call(*store_command(blob[:length])) == CUT_SHORT, length

    @pytest.mark.parametrize("form", FORMATS)
    def test_damaged(self, raw, form):
        """An error or a model that loads: never more."""
        blob = pack(saved_models.two(), form)
        generator = np.random.default_rng(1)
        for position in generator.integers(4, len(blob), 40):
            damaged = bytearray(blob)
            damaged[position] ^= 0xFF
            reply = raw.call(*store_command(bytes(damaged)))
            assert reply == OK or isinstance(reply, Error)
            assert "redisai-savedmodel" not in reply.text, reply
        assert raw.call("PING").text == "PONG"

    def test_a_size_that_lies(self, raw):
        """More than the archive holds: by a number that is allowed, and by one that is not."""
        for size, error in ((40 << 20, CUT_SHORT), (2**32, TOO_LARGE), (2**62, TOO_LARGE)):
            entry = tarfile.TarInfo("saved_model.pb")
            entry.size = size
            blob = entry.tobuf(tarfile.GNU_FORMAT) + bytes(4096)
            assert raw.call(*store_command(blob)) == error, size

    def test_one_name_twice(self, raw):
        [definition] = [entry for entry in self.entries() if entry[0].name == "saved_model.pb"]
        expected = Error("ERR SavedModel archive: two files are named saved_model.pb")
        assert raw.call(*store_command(tar(definition, definition))) == expected

    def test_two_models(self, raw):
        files = {top + name: content for top in "pq" for name, content in self.below(top).items()}
        expected = Error("ERR SavedModel archive: it holds more than one SavedModel")
        assert raw.call(*store_command(pack(files, "zip"))) == expected

    @staticmethod
    def below(top):
        return {"/" + name: content for name, content in saved_models.two().items()}

    @pytest.mark.parametrize("form", FORMATS)
    def test_nothing_inside(self, raw, form):
        for files in ({"a": b"x"}, {"a/b/saved_model.pb": b"x"}, {"saved_model.pb/x": b""}):
            assert raw.call(*store_command(pack(files, form))) == NOTHING_INSIDE

    def test_the_other_forms_of_a_definition_are_left_out(self, raw):
        """The library would prefer them to what has been looked at."""
        unsafe = saved_models.writer()["saved_model.pb"]
        store(raw, pack(saved_models.two() | {"saved_model.pbtxt": b"junk", "saved_model.cpb": unsafe}))
        assert_two_works(raw)


@pytest.mark.every_server
class TestPersistence(ModelIsKept):
    def stored(self, raw):
        store(raw, pack(saved_models.vocabulary(), "tar.gz", "top/"))
        return raw.call("AI.MODELGET", "m")

    def assert_same(self, raw, before):
        assert raw.call("AI.TENSORSET", "x", "STRING", 1, "VALUES", "one") == OK
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1]
        assert raw.call("AI.MODELGET", "m") == before

    def test_chosen_names_stay_chosen(self, server, raw):
        store(raw, pack(saved_models.two()), ("b", "a"), ("sum",))
        server.restart()
        assert sides(server.raw()) == ([b"b", b"a"], [b"sum"])


@pytest.mark.every_server
def test_checked(start_server):
    """The default: every model is tried out in another process first."""
    raw = start_server().raw()
    store(raw, pack(saved_models.two(), "tar.gz"))
    assert_two_works(raw)
    assert raw.call(*store_command(pack(saved_models.writer()))) == SAVES
    assert raw.call(*store_command(pack({"a": b""}))) == NOTHING_INSIDE

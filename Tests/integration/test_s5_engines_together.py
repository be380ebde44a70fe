"""Reference section 5: four engines in one process, from the first load to the end of the process."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest

from support.engines import (
    ENGINES,
    NAMES,
    assert_doubles,
    assert_script_doubles,
    backends_info,
    store,
    store_all,
    store_command,
    store_script,
)
from support.resp import OK, Error
from support.server import ServerStartError
from support.wait import eventually

FAILED = Error("ERR error loading backend")
NOT_LOADED = Error("ERR Could not load backend")
LIBC = "libm.so.6"
FILES = ("libtensorflow", "redisai_tflite", "redisai_torch", "onnxruntime")
# Only in the tests of more than one server: a model is tried out in a process that opens its engine once more.
QUICK = ("MODEL_CHECK", "NO")


@pytest.fixture
def backends_path(module_path):
    return os.path.join(os.path.dirname(module_path), "backends")


def fields_of(engines):
    return [field for engine in engines for field in engine.fields]


def assert_ended_well(server):
    """With status 0, within seconds, without a crash report."""
    eventually(lambda: not server.alive(), "the server has ended", timeout=5)
    assert server.exit_status == 0, server.log_text()[-3000:]
    assert server.crash_report() is None, server.crash_report()


class TestLoading:
    def test_nothing_is_loaded_at_start(self, start_server):
        server = start_server()
        assert backends_info(server) == []
        mapped = Path(f"/proc/{server.pid}/maps").read_text()
        assert [name for name in FILES if name in mapped] == []

    @pytest.mark.parametrize("order", [NAMES, list(reversed(NAMES))], ids=" ".join)
    def test_engines_appear_with_their_first_model_in_the_references_order(self, start_server, order):
        server = start_server(*QUICK)
        raw = server.raw()
        loaded = set()
        for name in order:
            [engine] = [engine for engine in ENGINES if engine.name == name]
            store(raw, engine, name)
            loaded.add(name)
            expected = fields_of(engine for engine in ENGINES if engine.name in loaded)
            assert [field for field, _ in backends_info(server)] == expected

    def test_a_script_loads_torch(self, start_server):
        server = start_server(*QUICK)
        store_script(server.raw())
        assert backends_info(server) == [("Torch_version", "NA")]

    @pytest.mark.one_server
    def test_versions(self, start_server):
        server = start_server(*QUICK)
        for engine in ENGINES:
            assert server.raw().call("AI.CONFIG", "LOADBACKEND", engine.name, engine.library) == OK
        values = dict(backends_info(server))
        assert (values["TensorFlowLite_version"], values["Torch_version"]) == ("NA", "NA")
        for name in ("TensorFlow_version", "onnxruntime_version"):
            assert re.fullmatch(r"\d+\.\d+\.\d+\S*", values[name]), values
        assert values["onnxruntime_maximum_run_sessions_number"] == "1"

    @pytest.mark.one_server
    def test_loadbackend_once_per_process(self, start_server, backends_path):
        raw = start_server(*QUICK).raw()
        for engine in ENGINES:
            assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, engine.library) == OK
            for path in (engine.library, os.path.join(backends_path, engine.library)):
                assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, path) == FAILED
        store_all(raw)
        for engine in ENGINES:
            assert_doubles(raw, f"{engine.name} CPU")

    @pytest.mark.one_server
    @pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
    def test_loadbackend_of_what_is_another_thing(self, start_server, backends_path, engine):
        """A folder, a library of the system, other engines' libraries: the server lives, and takes the right one."""
        server = start_server(*QUICK, "ALLOW_FOREIGN_BACKENDS", "YES")
        raw = server.raw()
        others = [other.library for other in ENGINES if other is not engine]
        folder = os.path.dirname(engine.library)
        for path in (".", "", folder, LIBC, f"/lib/x86_64-linux-gnu/{LIBC}", "/etc/passwd", *others):
            assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, path) == FAILED, path
        assert backends_info(server) == []
        assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, engine.library) == OK
        store(raw, engine, "m")
        assert_doubles(raw, "m")

    @pytest.mark.one_server
    def test_a_backend_that_was_refused_does_not_disturb_the_others(self, start_server):
        """Nor the end of the process, in which its library stays."""
        server = start_server(*QUICK)
        raw = server.raw()
        for engine, other in zip(ENGINES, (*ENGINES[1:], ENGINES[0])):
            assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, other.library) == FAILED
        for key in store_all(raw):
            assert_doubles(raw, key)
        raw.send("SHUTDOWN", "NOSAVE")
        assert_ended_well(server)

    def test_backendspath_at_run_time(self, start_server, backends_path):
        raw = start_server(*QUICK).raw()
        assert raw.call("AI.CONFIG", "BACKENDSPATH", os.path.join(backends_path, "none")) == OK
        for engine in ENGINES:
            assert raw.call(*store_command(engine, "m")) == NOT_LOADED
            assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, engine.library) == FAILED
        assert raw.call("AI.CONFIG", "BACKENDSPATH", backends_path) == OK
        for key in store_all(raw):
            assert_doubles(raw, key)

    def test_on_the_load_line(self, start_server, backends_path):
        arguments = [word for engine in ENGINES for word in (engine.name, os.path.join(backends_path, engine.library))]
        server = start_server(*QUICK, *arguments)
        assert [field for field, _ in backends_info(server)] == fields_of(ENGINES)
        raw = server.raw()
        for key in store_all(raw):
            assert_doubles(raw, key)

    @pytest.mark.parametrize("engine, other", list(zip(ENGINES, (*ENGINES[1:], ENGINES[0]))), ids=NAMES)
    def test_the_wrong_one_on_the_load_line(self, start_server, engine, other):
        with pytest.raises(ServerStartError, match="ended with status 1 at start") as failure:
            start_server(engine.name, other.library)
        assert f"ERR error processing argument: {engine.name} {other.library}" in failure.value.log
        assert "BUG REPORT" not in failure.value.log


class TestLiving:
    def test_two_devices_per_engine(self, server, raw):
        for key in store_all(raw, devices=("CPU", "CPU:1")):
            assert_doubles(raw, key)
        for device in ("CPU", "CPU:1"):
            store_script(raw, f"script {device}", device)
            for name in NAMES:
                assert_script_doubles(raw, f"{name} {device}", f"script {device}")

    def test_many_clients_on_all_engines_at_once(self, server, raw):
        keys = store_all(raw, devices=("CPU", "CPU:1"))
        failures = []

        def work(key):
            try:
                with server.raw() as client:
                    client.call("SELECT", 0)
                    for _ in range(50):
                        reply = client.call("AI.MODELEXECUTE", key, "INPUTS", 1, "rows", "OUTPUTS", 1, f"{key} out")
                        assert reply == OK, reply
            except Exception as failure:
                failures.append((key, failure))

        assert_doubles(raw, keys[0])  # sets `rows`
        workers = [threading.Thread(target=work, args=(key,)) for key in keys * 2]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert failures == []
        expected = raw.call("AI.TENSORGET", "doubled")
        assert all(raw.call("AI.TENSORGET", f"{key} out") == expected for key in keys)

    def test_saving_in_the_background_while_engines_work(self, server, raw):
        """The child of the server has none of the threads that the engines have."""
        keys = store_all(raw)
        store_script(raw)
        assert_doubles(raw, keys[0])  # sets `rows`
        call = ["AI.SCRIPTEXECUTE", "script", "double", "KEYS", 1]
        work = [[*call, key, "INPUTS", 1, "rows", "OUTPUTS", 1, "y"] for key in keys * 20]
        with server.raw() as other:
            replies = []
            worker = threading.Thread(target=lambda: replies.extend(other.call(*command) for command in work))
            worker.start()
            for _ in range(3):
                raw.call("BGSAVE")
                eventually(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0", "the file is written")
                assert server.info("persistence")["rdb_last_bgsave_status"] == "ok"
            worker.join()
        assert replies == [OK] * len(work)
        for key in keys:
            assert_doubles(raw, key)


class TestEnding:
    def test_models_of_all_engines_and_a_script_come_back(self, server, raw, read_back):
        keys = store_all(raw, devices=("CPU", "CPU:1"))
        store_script(raw)
        before = [raw.call("AI.MODELGET", key) for key in keys] + [raw.call("AI.SCRIPTGET", "script")]
        raw = read_back(server)
        for key in keys:
            assert_script_doubles(raw, key)
        assert [raw.call("AI.MODELGET", key) for key in keys] + [raw.call("AI.SCRIPTGET", "script")] == before

    @pytest.mark.parametrize("arguments", [(), ("INTRA_OP_PARALLELISM", "2", "INTER_OP_PARALLELISM", "2")], ids=len)
    @pytest.mark.parametrize("how", [("SHUTDOWN", "NOSAVE"), ("SHUTDOWN", "SAVE")], ids=" ".join)
    def test_shutdown(self, start_server, arguments, how):
        """After all engines have worked."""
        server = start_server(*QUICK, *arguments, "THREADS_PER_QUEUE", "2")
        raw = server.raw()
        for key in store_all(raw, devices=("CPU", "CPU:1")):
            assert_doubles(raw, key)
        store_script(raw)
        assert_script_doubles(raw, "TF CPU")
        raw.send(*how)
        assert_ended_well(server)

    def test_sigterm_with_engines_loaded_and_nothing_stored(self, start_server):
        server = start_server(*(word for engine in ENGINES for word in (engine.name, engine.library)))
        os.kill(server.pid, signal.SIGTERM)
        assert_ended_well(server)

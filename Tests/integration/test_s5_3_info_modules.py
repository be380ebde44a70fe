"""Reference section 5.3: the sections of INFO."""

import re

import pytest

from support import onnx_models
from support.commands import execute, set_tensor, store_model
from support.resp import OK
from support.wait import eventually

SECTIONS = ["ai_versions", "ai_git", "ai_load_time_configs", "ai_backends_info", "ai_cpu"]
CPU_FIELDS = [
    "self_used_cpu_sys",
    "self_used_cpu_user",
    "children_used_cpu_sys",
    "children_used_cpu_user",
    "main_thread_used_cpu_sys",
    "main_thread_used_cpu_user",
]
ONNX_FIELDS = [
    "onnxruntime_version",
    "onnxruntime_memory",
    "onnxruntime_memory_access_num",
    "onnxruntime_maximum_run_sessions_number",
]
SECONDS = re.compile(r"\d+\.\d+|N/A")


def _sections(server, *what: str) -> dict[str, list[tuple[str, str]]]:
    """The module's sections in order, each with its fields in order."""
    sections: dict[str, list[tuple[str, str]]] = {}
    current = None
    for name, value in server.info_lines(*(what or ("modules",))):
        if name.startswith("# "):
            current = sections.setdefault(name[2:], [])
        else:
            assert current is not None
            current.append((name, value))
    return sections


def _fields(server, section: str) -> dict[str, str]:
    return {name.removeprefix("ai_"): value for name, value in _sections(server)[section]}


@pytest.fixture
def fresh(start_server):
    """A server whose engine has not been needed yet."""
    return start_server()


def test_sections_follow_the_servers_modules_section_in_order(fresh):
    names = list(_sections(fresh))
    assert names[0] == "Modules"
    assert names[1 : 1 + len(SECTIONS)] == SECTIONS
    assert all(name.startswith("ai_") for name in names[1:])


def test_info_everything_holds_the_sections_once(fresh):
    names = [name for name, _ in fresh.info_lines("everything") if name.startswith("# ai_")]
    assert names[: len(SECTIONS)] == [f"# {section}" for section in SECTIONS]
    assert len(set(names)) == len(names)


def test_versions(fresh):
    assert _sections(fresh)["ai_versions"] == [
        ("ai_RedisAI_version", "2.0.0"),
        ("ai_low_level_API_version", "1"),
        ("ai_rdb_version", "4"),
    ]


def test_git(fresh):
    [(name, sha)] = _sections(fresh)["ai_git"]
    assert name == "ai_git_sha"
    assert sha == "unknown" or re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", sha)


def test_load_time_configs(fresh):
    assert _sections(fresh)["ai_load_time_configs"] == [
        ("ai_threads_per_queue", "1"),
        ("ai_inter_op_parallelism", "0"),
        ("ai_intra_op_parallelism", "0"),
        ("ai_model_execution_timeout", "5000"),
        ("ai_backend_memory_limit", "0"),
    ]


def test_backends_info_is_empty_at_first(fresh):
    assert _sections(fresh)["ai_backends_info"] == []


def test_info_after_loadbackend_and_before_the_first_model(fresh):
    """The original died here."""
    assert fresh.raw().call("AI.CONFIG", "LOADBACKEND", "ONNX", "redisai_onnxruntime/redisai_onnxruntime.so") == OK
    fields = _fields(fresh, "ai_backends_info")
    assert list(fields) == ONNX_FIELDS
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", fields["onnxruntime_version"])
    assert (fields["onnxruntime_memory"], fields["onnxruntime_memory_access_num"]) == ("0", "0")
    assert fields["onnxruntime_maximum_run_sessions_number"] == "1"


def test_info_after_the_first_model(fresh):
    store_model(fresh.raw(), "m", onnx_models.mul_by_weights())
    assert list(_fields(fresh, "ai_backends_info")) == ONNX_FIELDS


def test_no_white_space_and_no_hash_in_values(fresh):
    store_model(fresh.raw(), "m", onnx_models.mul_by_weights())
    sections = _sections(fresh)
    del sections["Modules"]
    for section, fields in sections.items():
        for name, value in fields:
            assert name.startswith("ai_") and value and not re.search(r"[\s#]", value), (section, name, value)


def test_cpu(fresh):
    fields = _fields(fresh, "ai_cpu")
    assert list(fields) == [*CPU_FIELDS, "queue_CPU_bthread_n1_used_cpu_total"]
    assert all(SECONDS.fullmatch(value) for value in fields.values()), fields


def test_worker_time_grows_with_work(fresh):
    raw = fresh.raw()
    store_model(raw, "m", onnx_models.counting_loop())
    set_tensor(raw, "n", [200_000], "INT64")
    set_tensor(raw, "x", [0])
    before = float(_fields(fresh, "ai_cpu")["queue_CPU_bthread_n1_used_cpu_total"])
    assert execute(raw, "m", ["n", "x"], ["y"]) == OK
    assert float(_fields(fresh, "ai_cpu")["queue_CPU_bthread_n1_used_cpu_total"]) > before


def test_workers_of_every_queue(start_server):
    server = start_server("THREADS_PER_QUEUE", "2")
    store_model(server.raw(), "m", onnx_models.mul_by_weights(), device="cpu:1")
    text = server.raw().call("INFO", "modules").decode()
    for queue in ("CPU", "CPU:1"):
        for worker in (1, 2):
            assert f"ai_queue_{queue}_bthread_n{worker}_used_cpu_total:" in text
    assert _fields(server, "ai_backends_info")["onnxruntime_maximum_run_sessions_number"] == "4"


def test_same_device_in_another_case_is_the_same_queue(start_server):
    server = start_server()
    raw = server.raw()
    for key, device in (("a", "cpu"), ("b", "CPU"), ("c", "Cpu")):
        store_model(raw, key, onnx_models.mul_by_weights(), device=device)
    assert _fields(server, "ai_backends_info")["onnxruntime_maximum_run_sessions_number"] == "1"


class TestAllocatorCounters:
    """The reference numbers: a model with one 24-byte initializer, one input and one output, names of one character."""

    @staticmethod
    def _counters(server) -> tuple[int, int]:
        fields = _fields(server, "ai_backends_info")
        return int(fields["onnxruntime_memory"]), int(fields["onnxruntime_memory_access_num"])

    def _await_counters(self, server, expected: tuple[int, int]) -> None:
        """A session is closed off the main thread, so its memory comes back shortly after the reply."""
        eventually(lambda: self._counters(server) == expected, f"the counters are {expected}", timeout=2)

    def test_one_model(self, fresh):
        raw = fresh.raw()
        store_model(raw, "m", onnx_models.mul_by_weights())
        set_tensor(raw, "x", [[1, 2], [3, 4], [5, 6]])
        bytes_stored, accesses = self._counters(fresh)
        assert bytes_stored >= 241
        assert accesses == 3  # weights and two names

        for run in range(1, 4):
            assert execute(raw, "m", ["x"], ["y"]) == OK
            assert self._counters(fresh) == (bytes_stored, 3 + 6 * run)

        assert raw.call("AI.MODELDEL", "m") == OK
        self._await_counters(fresh, (0, 3 + 6 * 3 + 3))

    def test_two_models_add_up(self, fresh):
        raw = fresh.raw()
        store_model(raw, "m", onnx_models.mul_by_weights())
        bytes_stored, _ = self._counters(fresh)
        store_model(raw, "n", onnx_models.mul_by_weights())
        assert self._counters(fresh) == (2 * bytes_stored, 6)
        assert raw.call("FLUSHALL") == OK
        self._await_counters(fresh, (0, 12))

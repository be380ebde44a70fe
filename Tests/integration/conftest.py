"""Fixtures: every test runs on every server of REDISAI_SERVERS with the module REDISAI_MODULE.

One server per test file and kind. A test file may set ``MODULE_ARGS`` and ``SERVER_CONFIG`` (sequences of words) to
have its server started with them. ``KEPT_KEYS`` names keys of the first database that stay from test to test, because
they are expensive to make. Tests that need a server of their own ask for ``start_server``.

What only an engine has to say (its answers, its errors, what it refuses) is the same on every server. Tests of that have
the mark ``one_server`` and run on one of the servers, which differs from file to file; ``every_server`` within such a
file overrules it. That all engines store, run, save and end on every server is what test_s5_engines_together.py checks.

`make test-integration` runs several processes at once (see support/parallel.py), which changes how long things take: a
test that measures time or use of the processor needs the mark ``alone``. By hand there is one process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import redis

from support import workshop
from support.cluster import Cluster
from support.parallel import Shares, in_order_of_shares, turn
from support.resp import OK, RawClient
from support.server import EnvironmentProblem, Server, ServerKind, kinds_from_environment, module_from_environment, tail

# A test that needs one has the mark `gpu`.
GPU = Path("/dev/nvidia0")

# Tests by name: those that were skipped or expected to fail, and those that need a GPU where there is none.
_not_run: list[str] = []
_need_gpu: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """A missing server or module ends the session with a message: it is never a reason to skip."""
    try:
        kinds_from_environment()
        module_from_environment()
    except EnvironmentProblem as problem:
        raise pytest.UsageError(str(problem)) from None
    if _is_one_of_several(config):
        workshop.share(Path(config.workerinput["workshop"]))


def _is_one_of_several(config: pytest.Config) -> bool:
    """Whether this process runs the share of the tests that another one gives it."""
    return hasattr(config, "workerinput")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_kind" in metafunc.fixturenames:
        kinds = kinds_from_environment()
        if _needs_one_server(metafunc.definition):
            kinds = [kinds[zlib.crc32(metafunc.definition.path.name.encode()) % len(kinds)]]
        metafunc.parametrize("server_kind", kinds, ids=[kind.name for kind in kinds], scope="module", indirect=True)


def _needs_one_server(definition: pytest.Item) -> bool:
    marks = [mark.name for mark in definition.iter_markers() if mark.name in ("one_server", "every_server")]
    return marks[:1] == ["one_server"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a GPU what needs one is not run: neither passed nor failed, but named in the summary."""
    if not GPU.exists():
        left_out = [item for item in items if item.get_closest_marker("gpu")]
        if left_out:
            _need_gpu.extend(item.nodeid for item in left_out)
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker("gpu")]
    if _is_one_of_several(config):
        items[:] = in_order_of_shares(items)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Outside of the time limit: waiting for one's turn does not count."""
    if not _is_one_of_several(item.config):
        return (yield)
    with turn(item):
        return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called in the process that runs the test, and in the one that prints the summary."""
    if report.skipped or hasattr(report, "wasxfail"):
        _not_run.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A test that was skipped or expected to fail has shown nothing, so the session fails."""
    if _is_one_of_several(session.config):
        session.config.workeroutput["need_gpu"] = _need_gpu
        return
    if _not_run and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if _need_gpu and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Shares:
    return Shares(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """A process is about to be started: it makes no models that another one has made."""
    node.workerinput["workshop"] = str(workshop.workshop())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """A process has ended. All collect the same tests, so each tells the same."""
    _need_gpu[:] = getattr(node, "workeroutput", {}).get("need_gpu", _need_gpu)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _not_run:
        terminalreporter.section("skipped or xfailed tests count as failures", red=True)
        for nodeid in _not_run:
            terminalreporter.line(nodeid)
    if _need_gpu:
        terminalreporter.section("not run: no GPU", yellow=True)
        for nodeid in _need_gpu:
            terminalreporter.line(nodeid)


@pytest.fixture(scope="module")
def server_kind(request: pytest.FixtureRequest) -> ServerKind:
    """The kind of server of this round."""
    return request.param


@pytest.fixture(scope="session")
def module_path() -> str:
    """The redisai.so under test."""
    return module_from_environment()


@pytest.fixture(scope="module")
def module_server(request: pytest.FixtureRequest, server_kind: ServerKind, module_path: str) -> Iterator[Server]:
    """The server of a test file; its end checks that nothing in the file made it crash."""
    server = Server(
        server_kind.name,
        server_kind.binary,
        module_path,
        module_args=getattr(request.module, "MODULE_ARGS", ()),
        config=getattr(request.module, "SERVER_CONFIG", ()),
    )
    try:
        server.start()
        yield server
        _assert_healthy(server)
    finally:
        server.close()


@pytest.fixture
def server(request: pytest.FixtureRequest, module_server: Server) -> Iterator[Server]:
    """The file's server with an empty keyspace, but for the keys that the file keeps.

    A server that dies fails the test during which it died and is started afresh for the next one, so that one crash
    does not hide what the other tests have to say.
    """
    if not module_server.alive():
        module_server.start()
    with module_server.raw() as client:
        _empty(client, getattr(request.module, "KEPT_KEYS", ()))
    yield module_server
    if not module_server.alive():
        status = module_server.exit_status
        pytest.fail(f"the server died (status {status}) during this test\n{tail(module_server.log_text())}")


@pytest.fixture
def raw(server: Server) -> Iterator[RawClient]:
    """A RESP2 connection with exact protocol values."""
    with server.raw() as client:
        yield client


@pytest.fixture
def raw3(server: Server) -> Iterator[RawClient]:
    """The same in RESP3."""
    with server.raw(resp=3) as client:
        yield client


@pytest.fixture
def client(server: Server) -> redis.Redis:
    """A redis-py client, replies as bytes."""
    return server.client()


@pytest.fixture(scope="module")
def module_cluster(server_kind: ServerKind, module_path: str) -> Iterator[Cluster]:
    """The cluster of a test file, for fixtures that keep something in it; tests ask for ``cluster``."""
    with Cluster(server_kind.name, server_kind.binary, module_path) as cluster:
        yield cluster
        cluster.assert_healthy()


@pytest.fixture
def cluster(module_cluster: Cluster) -> Cluster:
    """The file's cluster of three shards with an empty keyspace."""
    module_cluster.flush()
    return module_cluster


@pytest.fixture
def start_server(server_kind: ServerKind, module_path: str) -> Iterator[Callable[..., Server]]:
    """Start a further server: ``start_server(*module_args, config=(), module=...)``; ended with the test."""
    started: list[Server] = []

    def start(*module_args: str, config: tuple[str, ...] = (), module: str | None = module_path) -> Server:
        server = Server(server_kind.name, server_kind.binary, module, module_args=module_args, config=config)
        started.append(server)
        return server.start()

    yield start
    try:
        for server in started:
            if server.exit_status is None or server.crash_report():
                _assert_healthy(server)
    finally:
        for server in started:
            server.close()


@pytest.fixture(params=["restart", "reload"])
def read_back(request: pytest.FixtureRequest) -> Callable[[Server], RawClient]:
    """Writes the RDB file and reads it again, by a new process or in the running one; returns a new connection."""

    def restart(server: Server) -> RawClient:
        server.restart()
        return server.raw()

    def reload(server: Server) -> RawClient:
        raw = server.raw()
        assert raw.call("DEBUG", "RELOAD") == OK
        return raw

    return {"restart": restart, "reload": reload}[request.param]


def _empty(client: RawClient, kept: tuple[str, ...]) -> None:
    if not kept:
        assert client.call("FLUSHALL") == OK
        return
    for database in range(1, 16):
        assert client.pipeline([["SELECT", database], ["FLUSHDB"]]) == [OK, OK]
    assert client.call("SELECT", 0) == OK
    for key in client.call("KEYS", "*"):
        if key.decode(errors="replace") not in kept:
            assert client.call("DEL", key) == 1


def _assert_healthy(server: Server) -> None:
    assert server.responsive(), f"the server does not answer\n{tail(server.log_text())}"
    report = server.crash_report()
    assert report is None, f"crash report in the server's log\n{report}"

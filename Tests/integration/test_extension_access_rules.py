"""What the load line says about who may do what: SCRIPTS_RUN_AS, ALLOW_UPLOADS, UPLOAD_USER and ALLOW_LOADBACKEND; and the
module's categories in access control lists. See test_extension_permissions.py for the rights to keys."""

import hashlib
import socket
import threading
import time
from contextlib import contextmanager
from random import Random

import pytest
import redis

from support import onnx_models
from support.commands import execute, set_tensor, stats, store_command, store_model, words
from support.persistence import EVERYTHING_IN_COMMANDS
from support.replication import PRIMARY, caught_up, start_replica
from support.resp import OK, ConnectionClosed, Error, RawClient
from support.scripts import GATE, entry_point, occupied_worker, run_script, script_command, store_script
from support.server import ServerStartError
from support.wait import eventually

BACKEND = "redisai_onnxruntime/redisai_onnxruntime.so"
MODEL = onnx_models.add_constant(1)
SOURCE = entry_point("run", "redis.execute(args[0], args[1:])", "return torch.tensor([1])") + entry_point(
    "infer", "return redisAI.model_execute(args[0], tensors, 1)"
)
PLAIN_SOURCE = "def plain(a: Tensor):\n    return a\n"


def add_user(raw, *rules):
    assert raw.call("ACL", "SETUSER", "limited", "reset", "on", "nopass", *rules) == OK


@contextmanager
def logged_in(server, name="limited"):
    with server.raw() as connection:
        assert connection.call("AUTH", name, "x") == OK
        yield connection


class TestRightsAtTheTimeOfTheRun:
    """A script's caller may lose rights, and get some, between the request and the run."""

    @pytest.fixture
    def waiting(self, server, raw):
        """While the worker is busy, a caller's script waits in the queue. Called with what happens then; the reply."""
        store_script(raw, "gate", GATE, "wait_for")
        store_script(raw, "s", SOURCE, "run", "infer")
        store_model(raw, "m", MODEL)
        set_tensor(raw, "t", [1])
        add_user(raw, "~*", "&*", "+@all")

        def wait(command, *meanwhile):
            with logged_in(server) as connection:
                with occupied_worker(server, "gate", "opened"):
                    connection.send(*command)
                    eventually(lambda: server.info("modules")["ai_queue_CPU_waiting_requests"] == "1", "it waits")
                    for words_of_it in meanwhile:
                        assert not isinstance(raw.call(*words_of_it), Error)
                eventually(lambda: stats(raw, "s")["calls"] + stats(raw, "s")["errors"] > 0, "it has run")
                return connection.read()

        return wait

    SET = script_command("s", "run", [], [], keys=["k"], args=["SET", "k", "1"])
    INFER = script_command("s", "infer", ["t"], ["o"], args=["m"])

    def test_nothing_happens(self, raw, waiting):
        assert waiting(self.SET) == OK
        assert raw.call("GET", "k") == b"1"

    @pytest.mark.parametrize(
        "rule, refusal",
        [
            (["-set"], "NOPERM "),
            (["resetkeys", "%R~*"], "NOPERM "),
            (["off"], "NOPERM the user who called the script has been deleted or switched off"),
            (["reset"], "NOPERM the user who called the script has been deleted or switched off"),
        ],
    )
    def test_rights_are_taken_away(self, raw, waiting, rule, refusal):
        reply = waiting(self.SET, ["ACL", "SETUSER", "limited", *rule])
        assert f"Redis command returned an error: {refusal}" in reply.text
        assert raw.call("EXISTS", "k") == 0

    @pytest.mark.parametrize("rule", [["-ai.modelexecute"], ["resetkeys", "%W~*"], ["off"]])
    def test_rights_to_run_models_are_taken_away(self, raw, waiting, rule):
        reply = waiting(self.INFER, ["ACL", "SETUSER", "limited", *rule])
        assert "RuntimeError: NOPERM " in reply.text
        assert raw.call("EXISTS", "o") == 0

    def test_rights_are_given(self, raw, waiting):
        add_user(raw, "~*", "-@all", "+ai.scriptexecute")
        assert waiting(self.SET, ["ACL", "SETUSER", "limited", "+set"]) == OK
        assert raw.call("GET", "k") == b"1"

    def test_the_user_is_deleted(self, raw, waiting):
        """The server has closed the user's connections by then."""
        with pytest.raises((ConnectionClosed, ConnectionError)):
            waiting(self.SET, ["ACL", "DELUSER", "limited"])
        assert raw.call("EXISTS", "k") == 0

    def test_another_user_of_that_name(self, raw, waiting):
        with pytest.raises((ConnectionClosed, ConnectionError)):
            waiting(self.SET, ["ACL", "DELUSER", "limited"], ["ACL", "SETUSER", "limited", "on", "~other", "+@all"])
        assert raw.call("EXISTS", "k") == 0


class TestUsersComeAndGo:
    """While scripts of theirs run: nothing forbidden is done, and nothing breaks."""

    RULES = (["~mine*", "%R~s", "+@all"], ["-set"], ["+set"], ["off"], ["on"], ["resetkeys"], ["~mine*", "%R~s"])
    SECONDS = 3.0
    CLIENTS = 4

    def call_scripts(self, server, end, answers):
        """What one client does: logs in whenever the server has closed its connection."""
        while time.monotonic() < end:
            try:
                with server.raw() as connection:
                    if connection.call("AUTH", "limited", "x") != OK:
                        continue
                    while time.monotonic() < end:
                        for key in ("mine", "forbidden"):
                            reply = run_script(connection, "s", "run", keys=[], args=["SET", key, "1"])
                            answers.append((key, reply == OK, isinstance(reply, Error) and "NOPERM " in reply.text))
                        connection.call("AI._MODELSCAN")
                        connection.call(*words("AI.DAGRUN |> AI.TENSORSET a FLOAT 1 |> AI.SCRIPTRUN s run INPUTS a"))
            except (ConnectionClosed, ConnectionError):
                continue

    def test_scripts_meanwhile(self, server, raw):
        store_script(raw, "s", SOURCE, "run", "infer")
        add_user(raw, *self.RULES[0])
        answers = []
        end = time.monotonic() + self.SECONDS
        clients = [
            threading.Thread(target=self.call_scripts, args=(server, end, answers)) for _ in range(self.CLIENTS)
        ]
        for client in clients:
            client.start()
        random = Random(6)
        while time.monotonic() < end:
            if random.random() < 0.1:
                raw.call("ACL", "DELUSER", "limited")
                add_user(raw, *self.RULES[0])
            else:
                assert raw.call("ACL", "SETUSER", "limited", *random.choice(self.RULES)) == OK
        for client in clients:
            client.join()
        assert raw.call("EXISTS", "forbidden") == 0
        # Every answer is one or the other, and there was some of both.
        assert all(succeeded != refused for _, succeeded, refused in answers)
        assert {(key, succeeded) for key, succeeded, _ in answers} == {
            ("mine", True),
            ("mine", False),
            ("forbidden", False),
        }


class TestScriptsRunAs:
    def test_the_server_s_rights(self, start_server):
        """As RedisAI 1.x had it."""
        server = start_server("SCRIPTS_RUN_AS", "server")
        raw = server.raw()
        store_script(raw, "s", SOURCE, "run", "infer")
        store_model(raw, "m", MODEL)
        set_tensor(raw, "t", [1])
        add_user(raw, "%R~s", "%R~t", "%W~o", "+ai.scriptexecute")
        with logged_in(server) as connection:
            assert run_script(connection, "s", "run", args=["SET", "k", "1"]) == OK
            assert run_script(connection, "s", "infer", ["t"], ["o"], args=["m"]) == OK
            assert run_script(connection, "s", "run", args=["DEL", "k"]) == OK
        assert raw.call("EXISTS", "k") == 0

    def test_what_a_script_does_reaches_replicas(self, start_server):
        primary = start_server(config=PRIMARY)
        raw = primary.raw()
        replica = start_replica(start_server, primary)
        store_script(raw, "s", SOURCE, "run")
        add_user(raw, "~k", "~p", "%R~s", "+ai.scriptexecute", "+set", "+ai.scriptset")
        with logged_in(primary) as connection:
            assert run_script(connection, "s", "run", args=["SET", "k", "1"]) == OK
            assert run_script(connection, "s", "run", args=["AI.SCRIPTSET", "p", "CPU", "SOURCE", PLAIN_SOURCE]) == OK
        assert caught_up(primary, replica).call("GET", "k") == b"1"
        assert replica.raw().call("AI.SCRIPTGET", "p", "SOURCE") == PLAIN_SOURCE.encode()

    def test_the_user_who_needs_no_password(self, raw, server):
        """Nobody has logged in."""
        store_script(raw, "s", SOURCE, "run")
        assert run_script(raw, "s", "run", args=["SET", "k", "1"]) == OK
        assert raw.call("GET", "k") == b"1"


UPLOADS = [
    store_command("n", MODEL),
    ["AI.MODELSET", "n", "ONNX", "CPU", "BLOB", MODEL],
    ["AI.SCRIPTSTORE", "n", "CPU", "ENTRY_POINTS", "1", "run", "SOURCE", SOURCE],
    ["AI.SCRIPTSET", "n", "CPU", "SOURCE", PLAIN_SOURCE],
]
SWITCHED_OFF = Error("NOPERM ALLOW_UPLOADS is NO: no models and scripts can be stored")
NOT_AMONG_THEM = Error("NOPERM only the users that UPLOAD_USER names may store models and scripts")


class TestUploads:
    """From within MULTI, scripts and functions: see test_extension_permissions.py."""

    def test_switched_off_for_everybody(self, start_server):
        raw = start_server("ALLOW_UPLOADS", "no", "UPLOAD_USER", "default").raw()
        for command in UPLOADS:
            assert raw.call(*command) == SWITCHED_OFF
            # Before anything else is looked at.
            assert raw.call(*command[:2]) == SWITCHED_OFF
        assert raw.call("EXISTS", "n") == 0
        set_tensor(raw, "t", [1])

    def test_names_are_told_apart_byte_by_byte(self, start_server):
        server = start_server("UPLOAD_USER", "limited", "UPLOAD_USER", "Ann,e", "allow_uploads", "yes")
        raw = server.raw()
        for name, allowed in (("limited", True), ("Limited", False), ("Ann,e", True), ("Ann", False)):
            assert raw.call("ACL", "SETUSER", name, "on", "nopass", "~*", "+@all") == OK
            with logged_in(server, name) as connection:
                for command in UPLOADS:
                    raw.call("DEL", "n")
                    assert connection.call(*command) == (OK if allowed else NOT_AMONG_THEM), (name, command)
        assert raw.call(*UPLOADS[0]) == NOT_AMONG_THEM

    def test_a_script_without_a_user_stores_nothing(self, start_server):
        """With the server's rights it could not be told who asks."""
        server = start_server("SCRIPTS_RUN_AS", "SERVER", "UPLOAD_USER", "default")
        raw = server.raw()
        store_script(raw, "s", SOURCE, "run")
        reply = run_script(raw, "s", "run", args=["AI.SCRIPTSET", "k", "CPU", "SOURCE", PLAIN_SOURCE])
        assert NOT_AMONG_THEM.text in reply.text

    @pytest.mark.parametrize("config", [(), EVERYTHING_IN_COMMANDS], ids=["rdb", "aof"])
    def test_what_is_there_stays(self, start_server, config):
        server = start_server(config=config)
        raw = server.raw()
        store_model(raw, "m", MODEL)
        store_script(raw, "p", PLAIN_SOURCE)
        assert raw.pipeline([["MULTI"], ["AI.SCRIPTSET", "q", "CPU", "SOURCE", PLAIN_SOURCE], ["EXEC"]])[2] == [OK]
        server.module_args = ("ALLOW_UPLOADS", "NO")
        server.restart()
        raw = server.raw()
        set_tensor(raw, "t", [1])
        assert raw.call("EXISTS", "m", "p", "q") == 3
        assert execute(raw, "m", ["t"], ["o"]) == OK
        assert raw.call(*UPLOADS[0]) == SWITCHED_OFF
        # What is there can be copied and renamed: that brings nothing new.
        assert raw.call("COPY", "m", "m2") == 1
        assert execute(raw, "m2", ["t"], ["o"]) == OK

    def test_a_replica_stores_what_its_primary_sends(self, start_server):
        primary = start_server(config=PRIMARY)
        replica = start_server("ALLOW_UPLOADS", "NO", config=("--replicaof", f"127.0.0.1 {primary.port}"))
        eventually(lambda: replica.info("replication").get("master_link_status") == "up", "the replica is connected")
        raw = primary.raw()
        store_model(raw, "m", MODEL)
        assert raw.pipeline([["MULTI"], ["AI.SCRIPTSET", "q", "CPU", "SOURCE", PLAIN_SOURCE], ["EXEC"]])[2] == [OK]
        on_replica = caught_up(primary, replica)
        assert on_replica.call("EXISTS", "m", "q") == 2

    def test_restoring_a_payload_is_the_server_s_command(self, start_server):
        """It is to be withheld by the access control list, as the documentation says."""
        server = start_server("UPLOAD_USER", "default")
        raw = server.raw()
        store_model(raw, "m", MODEL)
        payload = raw.call("DUMP", "m")
        add_user(raw, "~*", "+@all")
        with logged_in(server) as connection:
            assert connection.call("RESTORE", "n", 0, payload) == OK
            add_user(raw, "~*", "+@all", "-@dangerous")
            assert connection.call("RESTORE", "o", 0, payload).text.startswith("NOPERM ")
        others = {b"restore-asking", b"migrate", b"replicaof", b"slaveof", b"debug", b"module|load", b"module|loadex"}
        assert others <= set(raw.call("ACL", "CAT", "dangerous"))


class TestDigests:
    """MODEL_DIGESTS: only what is on the list is built, wherever it comes from."""

    OTHER = onnx_models.add_constant(7)

    @pytest.fixture
    def listed(self, tmp_path):
        """The list, as sha256sum writes it and people change it."""
        path = tmp_path / "digests"
        lines = [f"{hashlib.sha256(MODEL).hexdigest()}  model.onnx", "", "# a script"]
        path.write_text("\n".join([*lines, hashlib.sha256(PLAIN_SOURCE.encode()).hexdigest().upper()]))
        return str(path)

    def refused(self, content):
        digest = hashlib.sha256(content).hexdigest()
        return f"ERR not among those that MODEL_DIGESTS allows: SHA-256 {digest}"

    def test_what_is_listed_is_stored(self, start_server, listed):
        raw = start_server("MODEL_DIGESTS", listed).raw()
        store_model(raw, "m", MODEL)
        # In pieces of any size.
        assert raw.call("AI.MODELSTORE", "m", "ONNX", "CPU", "BLOB", MODEL[:1], MODEL[1:66], MODEL[66:]) == OK
        store_script(raw, "p", PLAIN_SOURCE)
        assert raw.call(*store_command("o", self.OTHER)) == Error(self.refused(self.OTHER))
        assert raw.call(*UPLOADS[2]) == Error(self.refused(SOURCE.encode()))
        assert raw.call("EXISTS", "o", "n") == 0

    def test_what_is_not_listed_is_kept_but_broken(self, start_server, listed):
        server = start_server()
        raw = server.raw()
        store_model(raw, "m", MODEL)
        store_model(raw, "o", self.OTHER)
        payload = raw.call("DUMP", "o")
        server.module_args = ("MODEL_DIGESTS", listed)
        server.restart()
        raw = server.raw()
        assert raw.call("RESTORE", "restored", 0, payload) == OK
        set_tensor(raw, "t", [1])
        assert execute(raw, "m", ["t"], ["o1"]) == OK
        for key in ("o", "restored"):
            assert raw.call("AI.MODELGET", key, "BLOB") == self.OTHER
            eventually(lambda: "not among those" in execute(raw, key, ["t"], ["o1"]).text, "it is broken")  # noqa: B023

    @pytest.mark.parametrize("text", ["ab", "z" * 64, "0" * 63, "0" * 65, f"{'0' * 64}\nmodel.onnx", None])
    def test_lists_that_are_refused(self, start_server, tmp_path, text):
        path = tmp_path / "digests"
        if text is not None:
            path.write_text(text)
        with pytest.raises(ServerStartError) as failure:
            start_server("MODEL_DIGESTS", str(path))
        assert f"ERR error processing argument: MODEL_DIGESTS {path}" in failure.value.log


class TestLoadBackend:
    """Opening a shared library runs code."""

    LOAD = ["AI.CONFIG", "LOADBACKEND", "ONNX", BACKEND]
    NOT_LOCAL = Error(
        "ERR LOADBACKEND and BACKENDSPATH are for connections from the server's machine, unless ALLOW_LOADBACKEND is YES"
    )
    OFF = Error("ERR LOADBACKEND and BACKENDSPATH are switched off: ALLOW_LOADBACKEND is NO")
    # The same in two steps, where engines may come from anywhere.
    PATH = ["AI.CONFIG", "BACKENDSPATH", "/tmp"]

    @pytest.fixture
    def start(self, start_server, tmp_path):
        def start(*module_args):
            config = ("--protected-mode", "no", "--unixsocket", str(tmp_path / "socket"))
            return start_server(*module_args, config=config)

        return start

    def far(self, server):
        """A connection that does not come from a loopback address, as the server sees it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = probe.getsockname()[0]
        assert not address.startswith("127."), "this machine has no address but loopback ones"
        return RawClient(server.port, source=address)

    @pytest.mark.parametrize("rule", [(), ("ALLOW_LOADBACKEND", "local")], ids=["default", "local"])
    def test_local(self, start, rule):
        server = start(*rule)
        with self.far(server) as far:
            assert far.call(*self.LOAD) == self.NOT_LOCAL
            assert far.pipeline([["MULTI"], self.LOAD, ["EXEC"]])[2] == [self.NOT_LOCAL]
            assert far.call(*self.PATH) == self.NOT_LOCAL
            # Everything else is for all.
            assert far.call("AI.CONFIG", "GET", "MODEL_CHUNK_SIZE") == 535822336
            assert far.call("AI.CONFIG", "ONNX_MAP_OUTPUTS", "SKIP") == OK
        assert server.raw().call(*self.LOAD) == OK

    def test_local_in_a_transaction(self, start):
        assert start().raw().pipeline([["MULTI"], self.LOAD, ["EXEC"]])[2] == [OK]

    def test_local_by_a_unix_socket(self, start, tmp_path):
        start()
        with redis.Redis(unix_socket_path=str(tmp_path / "socket"), socket_timeout=30) as client:
            assert client.execute_command(*self.LOAD) == b"OK"

    def test_local_is_not_for_scripts(self, start):
        """The server does not say whose connection runs a script."""
        server = start()
        for connection in (server.raw(), self.far(server)):
            reply = connection.call("EVAL", "return redis.call(unpack(ARGV))", 0, *self.LOAD)
            assert self.NOT_LOCAL.text.removeprefix("ERR ") in reply.text
        assert server.raw().call(*self.LOAD) == OK

    def test_yes(self, start):
        assert self.far(start("ALLOW_LOADBACKEND", "yes")).call(*self.LOAD) == OK

    def test_no(self, start):
        server = start("ALLOW_LOADBACKEND", "NO")
        raw = server.raw()
        assert raw.call(*self.LOAD) == self.OFF
        assert raw.call(*self.PATH) == self.OFF
        assert raw.call("EVAL", "return redis.call(unpack(ARGV))", 0, *self.LOAD).text.count("ALLOW_LOADBACKEND") == 1
        # An engine is still loaded by the first model that needs it, and by the load line.
        store_model(raw, "m", MODEL)
        assert "ai_onnxruntime_version" in start("ALLOW_LOADBACKEND", "NO", "ONNX", BACKEND).info("modules")


@pytest.mark.parametrize(
    "name, value",
    [("SCRIPTS_RUN_AS", "me"), ("SCRIPTS_RUN_AS", "YES"), ("ALLOW_UPLOADS", "local"), ("ALLOW_LOADBACKEND", "x")],
)
def test_values_that_are_refused(start_server, name, value):
    with pytest.raises(ServerStartError) as failure:
        start_server(name, value)
    assert f"ERR error processing argument: {name} {value}" in failure.value.log


class TestCategories:
    """From Redis 7.4 and Valkey 8 on. Each command is in one of the module's categories."""

    CATEGORIES = {
        "ai_read": "tensorget modelget scriptget info _modelscan _scriptscan",
        "ai_write": "tensorset modeldel scriptdel",
        "ai_run": "modelexecute modelrun scriptexecute scriptrun dagexecute dagexecute_ro dagrun dagrun_ro",
        "ai_upload": "modelstore modelset scriptstore scriptset",
        "ai_admin": "config",
    }

    @pytest.fixture(autouse=True)
    def known(self, server_kind):
        self.known = server_kind.name != "redis7"

    def test_commands(self, raw):
        if not self.known:
            for category in self.CATEGORIES:
                assert isinstance(raw.call("ACL", "SETUSER", "limited", f"+@{category}"), Error)
            return
        listed = []
        for category, names in self.CATEGORIES.items():
            commands = {name.decode() for name in raw.call("ACL", "CAT", category)}
            assert commands == {f"ai.{name}" for name in names.split()}
            listed += commands
        assert len(listed) == len(set(listed))
        assert set(listed) == {name.decode() for name in raw.call("COMMAND", "LIST", "FILTERBY", "MODULE", "ai")}

    def test_categories_of_the_server(self, raw):
        for name, entry in self.infos(raw).items():
            categories = {category.text for category in entry[6]}
            if not self.known:
                assert categories == set(), name
            elif name == "ai.config":
                assert {"@admin", "@dangerous"} < categories
            else:
                reads = "readonly" in {flag.text for flag in entry[2]}
                assert ("@read" if reads else "@write") in categories, name
                assert not {"@read" if not reads else "@write", "@dangerous", "@admin"} & categories, name

    def infos(self, raw):
        names = raw.call("COMMAND", "LIST", "FILTERBY", "MODULE", "ai")
        return {name.decode(): entry for name, entry in zip(names, raw.call("COMMAND", "INFO", *names), strict=True)}

    def test_rules(self, server, raw):
        """A user who runs models, and nothing else; and one who may do everything but store them."""
        store_model(raw, "m", MODEL)
        run, everything = ["+@ai_run"], ["+@all", "-@ai_upload"]
        if not self.known:
            run = [f"+ai.{name}" for name in self.CATEGORIES["ai_run"].split()]
            everything = ["+@all", *(f"-ai.{name}" for name in self.CATEGORIES["ai_upload"].split())]
        set_tensor(raw, "t", [1])
        add_user(raw, "~*", *run)
        with logged_in(server) as connection:
            assert execute(connection, "m", ["t"], ["o"]) == OK
            for text in ("AI.TENSORGET o", "AI.TENSORSET o FLOAT 1", "AI.MODELDEL m", "AI.CONFIG GET x", "GET x"):
                assert connection.call(*words(text)).text.startswith("NOPERM ")
        add_user(raw, "~*", *everything)
        with logged_in(server) as connection:
            for command in UPLOADS:
                assert connection.call(*command).text.startswith("NOPERM ")
            for text in ("AI.TENSORSET o FLOAT 1", "AI.TENSORGET o", "AI.MODELDEL m", "AI.CONFIG GET x"):
                assert not isinstance(connection.call(*words(text)), Error)

    def test_rules_of_a_file_may_name_them(self, start_server, tmp_path):
        """The server reads its access control list after it has loaded its modules."""
        rules = "+@ai_run -@ai_upload" if self.known else "+ai.modelexecute -ai.modelstore"
        (tmp_path / "users.acl").write_text(f"user default on nopass ~* &* +@all\nuser limited on nopass ~* {rules}\n")
        raw = start_server(config=("--aclfile", str(tmp_path / "users.acl"))).raw()
        assert raw.call("ACL", "DRYRUN", "limited", *words("AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 b")) == OK
        assert b"no permissions to run" in raw.call("ACL", "DRYRUN", "limited", *words("AI.MODELSTORE m ONNX CPU BLOB x"))

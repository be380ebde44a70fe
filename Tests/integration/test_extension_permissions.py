"""Every command needs the key permissions that support/key_uses.py says, wherever it is called from, and storing models and
scripts can be left to some users."""

from random import Random

import pytest

from support import key_uses
from support.commands import pairs, set_tensor, store_model, words
from support.key_uses import MODEL, PATTERNS, PLAIN_SOURCE, RIGHTS, SOURCE, Use, assignments, lacking
from support.resp import OK, QUEUED, Argument, Error
from support.scripts import script_command, store_script

MODULE_ARGS = ("UPLOAD_USER", "default", "UPLOAD_USER", "uploader")
KEPT_KEYS = ("base:m", "base:s", "base:p", "all:runner")
USERS = ("uploader", "other")
UPLOAD_REFUSED = "only the users that UPLOAD_USER names may store models and scripts"
# What the servers say where a key is refused; within scripts of the server Redis 7.0 says it in other words.
KEY_REFUSED = ("No permissions to access a key", "no permissions to access one of the keys", "can't access at least one")

FUNCTION = """#!lua name=relay
redis.register_function('relay', function(keys, args) return redis.call(unpack(args)) end)
"""
# From where a command is sent: the name, and what to make of a reply.
PLACES = ("client", "transaction", "script", "function", "module")


@pytest.fixture
def stored(server, raw):
    """The keys' values, and the users."""
    if raw.call("EXISTS", *KEPT_KEYS) < len(KEPT_KEYS):
        store_model(raw, "base:m", MODEL)
        store_script(raw, "base:s", SOURCE, "run", "infer", "same")
        store_script(raw, "base:p", PLAIN_SOURCE)
        store_script(raw, "all:runner", SOURCE, "run")
        assert raw.call("FUNCTION", "LOAD", "REPLACE", FUNCTION) == b"relay"
        for user in USERS:
            assert raw.call("ACL", "SETUSER", user, "on", "nopass", *PATTERNS, "+@all") == OK
    set_tensor(raw, "base:t", [1])
    set_tensor(raw, "all:one", [1])
    raw.call("SET", "base:v", "text")
    return raw


@pytest.fixture(params=USERS)
def user(request, server, stored):
    with server.raw() as connection:
        assert connection.call("AUTH", request.param, "x") == OK
        yield connection, request.param


def put(raw, use: Use, rights: dict[str, str]) -> dict[str, str]:
    """Stores a value under each key of the command; returns the keys by name."""
    names = {name: f"{right}:{name}" for name, right in rights.items()}
    for name, key in names.items():
        assert raw.call("COPY", f"base:{name[0]}", key, "REPLACE") == 1
        if "AI.INFO" in use.text:
            # Statistics go by the name under which something was stored.
            store = store_model if name[0] == "m" else None
            if store:
                store(raw, key, MODEL)
            else:
                store_script(raw, key, SOURCE, "run", "infer", "same")
    return names


def digests(raw, names: dict[str, str]) -> list:
    return raw.call("DEBUG", "DIGEST-VALUE", *names.values()) if names else []


def send(connection, command, place):
    """Has the command carried out from there; the reply."""
    if place == "transaction":
        assert connection.call("MULTI") == OK
        queued = connection.call(*command)
        if queued != QUEUED:
            assert connection.call("EXEC").text.startswith("EXECABORT")
            return queued
        return connection.call("EXEC")[0]
    if place == "script":
        return connection.call("EVAL", "return redis.call(unpack(ARGV))", 0, *command)
    if place == "function":
        return connection.call("FCALL", "relay", 0, *command)
    if place == "module":
        return connection.call(*script_command("all:runner", "run", ["all:one"], args=command))
    return connection.call(*command)


def errors_of(reply) -> str:
    """The texts of all errors of a reply."""
    if isinstance(reply, Error):
        return reply.text
    return "\n".join(filter(None, map(errors_of, reply))) if isinstance(reply, list) else ""


def check(raw, connection, user_name, use, rights, place="client"):
    names = put(raw, use, rights)
    before = digests(raw, names)
    reply = send(connection, use.command(names), place)
    text, context = errors_of(reply), (user_name, use.text, rights, place, reply)
    missing = lacking(use, rights)
    if missing:
        assert any(words in text for words in KEY_REFUSED), context
        assert digests(raw, names) == before, context
        if place == "client" and not missing <= use.inside:
            # Before anything has run, and as the whole answer.
            assert isinstance(reply, Error) and reply.text.startswith("NOPERM "), context
        if missing <= use.inside:
            assert "NOPERM " in text, context
    elif use.uploads and user_name != "uploader":
        assert UPLOAD_REFUSED in text, context
        assert digests(raw, names) == before, context
    else:
        assert text == "", context


@pytest.mark.parametrize("use", key_uses.ALL, ids=str)
def test_matrix(stored, user, use):
    """Each right for each key of each command, for users with and without the right to upload."""
    connection, name = user
    for rights in assignments(use):
        check(stored, connection, name, use, rights)


@pytest.mark.parametrize("place", PLACES[1:])
@pytest.mark.parametrize("use", key_uses.SIMPLE, ids=str)
def test_matrix_from_elsewhere(stored, user, use, place):
    """The same from MULTI, from the server's scripts and functions, and from the module's scripts."""
    if place == "module" and isinstance(use.data, bytes):
        # Strings of scripts end at a NUL. What is stored turns out broken, later.
        use = Use(use.text, use.keys, "nonsense", use.uploads)
    connection, name = user
    for rights in assignments(use):
        check(stored, connection, name, use, rights, place)


def test_the_table_has_every_command(raw):
    listed = {name.decode().upper() for name in raw.call("COMMAND", "LIST", "FILTERBY", "MODULE", "ai")}
    assert {use.text.split()[0] for use in key_uses.ALL} == listed


@pytest.mark.parametrize("use", [*key_uses.SIMPLE, *key_uses.RUNNING], ids=str)
def test_dry_runs_know_what_is_a_key_to_the_server(stored, use):
    """ACL DRYRUN never refuses what is allowed; it cannot know the keys that only the module knows."""
    unknown = {"v"} if " |> " in use.text and "KEYS" in use.text else set()
    unknown |= {"m", "p"} if use.text.startswith("AI.DAGRUN") else set()
    for rights in assignments(use):
        names = {name: f"{right}:{name}" for name, right in rights.items()}
        reply = stored.call("ACL", "DRYRUN", "other", *use.command(names))
        needed = {name: wanted for name, wanted in use.keys.items() if name not in unknown}
        if "RESETSTAT" in use.text:
            needed = {name: key_uses.READ for name in needed}
        if lacking(Use(use.text, needed), rights):
            assert b"no permissions to access" in reply, (rights, reply)
        else:
            assert reply == OK, (rights, reply)


class TestWhatIsListed:
    def test_keys_that_may_not_be_read_are_left_out(self, stored, user):
        connection, _ = user
        for right in RIGHTS:
            store_model(stored, f"{right}:listed", MODEL, "TAG", right)
            store_script(stored, f"{right}:code", PLAIN_SOURCE, tag=right)
        listed = [entry for entry in connection.call("AI._MODELSCAN") if b"listed" in entry[0]]
        assert listed == [[b"all:listed", b"all"], [b"read:listed", b"read"]]
        listed = [entry for entry in connection.call("AI._SCRIPTSCAN") if b"code" in entry[0]]
        assert listed == [[b"all:code", b"all"], [b"read:code", b"read"]]
        assert len([entry for entry in stored.call("AI._MODELSCAN") if b"listed" in entry[0]]) == 4

    def test_what_is_missing_and_what_is_forbidden_are_not_told_apart(self, stored, user):
        """A refusal comes before a key is looked up."""
        connection, _ = user
        stored.call("SET", "none:text", "x")
        stored.call("COPY", "base:m", "none:m", "REPLACE")
        for text in (
            "AI.DAGRUN |> AI.TENSORSET a FLOAT 1 |> AI.MODELRUN {} INPUTS a OUTPUTS b",
            "AI.DAGRUN |> AI.TENSORSET a FLOAT 1 |> AI.SCRIPTRUN {} plain INPUTS a OUTPUTS b",
            "AI.DAGEXECUTE LOAD 1 {}",
            "AI.DAGEXECUTE LOAD 3 {} all:t all:t",
            "AI.DAGEXECUTE LOAD 9 all:t {} |> AI.TENSORGET all:t",
            "AI.MODELEXECUTE {} INPUTS 1 all:t OUTPUTS 1 all:t2",
        ):
            replies = [connection.call(*words(text.format(key))) for key in ("none:m", "none:text", "none:nothing")]
            assert replies[0] == replies[1] == replies[2], text


class TestKeysOfGraphs:
    """What the server is told to be a key is what is looked up as one, whatever tensors are called."""

    NAMES = ("LOAD", "PERSIST", "ROUTING", "TIMEOUT", "AI.MODELEXECUTE", "AI.SCRIPTEXECUTE", "BLOB", "1", "t")

    def graph(self, random: Random) -> tuple[list[Argument], list[Argument]]:
        """A valid DAG, and the names of its keys in order."""
        loaded, persisted = (random.sample(self.NAMES, random.randint(1, 3)) for _ in range(2))
        clauses = [
            (["LOAD", len(loaded), *loaded], loaded),
            (["PERSIST", len(persisted), *persisted], persisted),
            (["ROUTING", (routing := random.choice(self.NAMES))], [routing]),
            (["TIMEOUT", 100], []),
        ]
        command, keys = ["AI.DAGEXECUTE"], []
        for clause, names in random.sample(clauses, 4):
            command += clause
            keys += names
        for _ in range(random.randint(1, 5)):
            operation, names = self.operation(random, *(random.choice(self.NAMES) for _ in range(3)))
            command += ["|>", *operation]
            keys += names
        return command, keys

    def operation(self, random: Random, first: str, second: str, third: str) -> tuple[list[Argument], list[Argument]]:
        """An operation, and its keys: of models and scripts, but not those that scripts are given."""
        return random.choice(
            [
                (["AI.TENSORSET", first, "INT8", 2, "BLOB", "|>"], []),
                (["AI.TENSORSET", first, "STRING", 2, "VALUES", second, third], []),
                (["AI.TENSORGET", first, "VALUES"], []),
                (["AI.MODELEXECUTE", first, "INPUTS", 1, second, "OUTPUTS", 1, third], [first]),
                (["AI.SCRIPTEXECUTE", first, second, "INPUTS", 1, third, "KEYS", 1, "k", "OUTPUTS", 0], [first]),
            ]
        )

    def test_random_graphs(self, raw):
        random = Random(20)
        for _ in range(500):
            command, keys = self.graph(random)
            assert raw.call("COMMAND", "GETKEYS", *command) == [key.encode() for key in keys], command

    @pytest.mark.parametrize("word", NAMES)
    def test_a_forbidden_model_behind_such_a_name(self, server, stored, word):
        stored.call("COPY", "base:m", "none:m", "REPLACE")
        stored.call("COPY", "base:m", "all:m", "REPLACE")
        with server.raw() as connection:
            connection.call("AUTH", "other", "x")
            graph = f"AI.DAGEXECUTE ROUTING all:r |> AI.TENSORSET {word} FLOAT 1 VALUES 1"
            graph += f" |> AI.MODELEXECUTE none:m INPUTS 1 {word} OUTPUTS 1 {word} |> AI.TENSORGET {word} VALUES"
            assert connection.call(*words(graph)).text.startswith("NOPERM ")
            assert connection.call(*words(graph.replace("none:m", "all:m"))) == [OK, OK, [b"2"]]


class TestSelectors:
    """Rules in parentheses (Redis 7): one of them has to allow the command with all of its keys."""

    @pytest.fixture
    def connection(self, server, stored):
        rules = ["resetkeys", "+ai.dagrun", "%R~read:*", "~all:*", "(+@all ~other:*)", "(+ai.modelget %R~models:*)"]
        assert stored.call("ACL", "SETUSER", "selective", "on", "nopass", *rules) == OK
        with server.raw() as connection:
            assert connection.call("AUTH", "selective", "x") == OK
            yield connection

    def dag(self, connection, tensor, model):
        text = f"AI.DAGRUN LOAD 1 {tensor} |> AI.MODELRUN {model} INPUTS {tensor} OUTPUTS o |> AI.TENSORGET o VALUES"
        return connection.call(*words(text))

    @pytest.mark.parametrize(
        "tensor, model, allowed",
        [
            ("all:t", "read:m", True),
            ("other:t", "other:m", True),
            # The model may be read, but by other rules than those that allow the tensor, or the command.
            ("all:t", "other:m", False),
            ("other:t", "read:m", False),
            ("all:t", "models:m", False),
        ],
    )
    def test_one_rule_must_allow_everything(self, stored, connection, tensor, model, allowed):
        stored.call("COPY", "base:t", tensor, "REPLACE")
        stored.call("COPY", "base:m", model, "REPLACE")
        reply = self.dag(connection, tensor, model)
        if allowed:
            assert reply == [OK, [b"2"]]
        else:
            assert reply == Error("NOPERM No permissions to access a key")


class TestACLLog:
    @pytest.fixture(autouse=True)
    def empty_log(self, stored):
        assert stored.call("ACL", "LOG", "RESET") == OK

    def entries(self, raw):
        found = [pairs(entry) for entry in raw.call("ACL", "LOG")]
        return [(entry["username"], entry["reason"], entry["object"].lower()) for entry in found]

    @pytest.mark.parametrize(
        "command, entry",
        [
            ("AI.TENSORGET write:t", (b"key", b"write:t")),
            ("AI.DAGRUN |> AI.TENSORSET a FLOAT 1 |> AI.MODELRUN none:m INPUTS a OUTPUTS b", (b"key", b"none:m")),
            ("AI.SCRIPTEXECUTE all:s run INPUTS 1 all:t ARGS 2 GET none:v", (b"key", b"none:v")),
            ("AI.SCRIPTEXECUTE all:s infer INPUTS 1 all:t ARGS 1 write:m OUTPUTS 1 all:t2", (b"key", b"write:m")),
            ("AI.INFO read:m RESETSTAT", (b"key", b"read:m")),
            ("AI.SCRIPTSET all:s CPU SOURCE x", (b"command", b"ai.scriptset")),
            ("AI.MODELSTORE all:m ONNX CPU BLOB x", (b"command", b"ai.modelstore")),
        ],
    )
    def test_refusals_are_in_the_log(self, server, stored, command, entry):
        for name in ("s", "t", "m"):
            stored.call("COPY", f"base:{name}", f"all:{name}", "REPLACE")
        store_model(stored, "read:m", MODEL)
        with server.raw() as connection:
            connection.call("AUTH", "other", "x")
            assert "NOPERM" in errors_of(connection.call(*words(command)))
        assert self.entries(stored) == [(b"other", *entry)]

    def test_what_is_allowed_is_not(self, server, stored):
        for use in (*key_uses.RUNNING, *key_uses.WITHIN):
            with server.raw() as connection:
                connection.call("AUTH", "other", "x")
                check(stored, connection, "other", use, dict.fromkeys(use.keys, "all"))
        assert self.entries(stored) == []


class TestCommandRights:
    """Which commands a user may send."""

    @pytest.fixture
    def connection(self, server, stored):
        with server.raw() as connection:
            yield connection

    def log_in(self, raw, connection, *rules):
        assert raw.call("ACL", "SETUSER", "limited", "reset", "on", "nopass", "~*", *rules) == OK
        assert connection.call("AUTH", "limited", "x") == OK

    def test_a_dag_needs_the_right_of_the_dag_only(self, stored, connection):
        self.log_in(stored, connection, "+ai.dagexecute", "+ai.dagrun")
        dag = "AI.DAGEXECUTE LOAD 1 base:t |> AI.MODELEXECUTE base:m INPUTS 1 base:t OUTPUTS 1 a |> AI.TENSORGET a VALUES"
        assert connection.call(*words(dag)) == [OK, [b"2"]]
        dag = "AI.DAGRUN LOAD 1 base:t |> AI.SCRIPTRUN base:p plain INPUTS base:t OUTPUTS a |> AI.TENSORGET a VALUES"
        assert connection.call(*words(dag)) == [OK, [b"1"]]
        assert connection.call(*words("AI.MODELEXECUTE base:m INPUTS 1 base:t OUTPUTS 1 a")).text.startswith("NOPERM ")

    def test_a_script_needs_the_right_of_each_command_it_runs(self, stored, connection):
        self.log_in(stored, connection, "+ai.scriptexecute", "+get")
        get = script_command("base:s", "run", ["base:t"], args=["GET", "base:v"])
        assert connection.call(*get) == OK
        text = errors_of(connection.call(*script_command("base:s", "run", ["base:t"], args=["SET", "base:v", "1"])))
        assert "Redis command returned an error: NOPERM " in text
        assert stored.call("GET", "base:v") == b"text"

    def test_a_script_needs_the_right_to_run_models(self, stored, connection):
        infer = script_command("base:s", "infer", ["base:t"], ["a"], args=["base:m"])
        self.log_in(stored, connection, "+ai.scriptexecute")
        refusal = "NOPERM User limited has no permissions to run the 'ai.modelexecute' command"
        assert refusal in errors_of(connection.call(*infer))
        self.log_in(stored, connection, "+ai.scriptexecute", "+ai.modelexecute")
        assert connection.call(*infer) == OK

    def test_a_script_needs_the_right_to_its_channels(self, stored, connection):
        def publish(channel):
            return errors_of(connection.call(*script_command("base:s", "run", ["base:t"], args=["PUBLISH", channel, "x"])))

        self.log_in(stored, connection, "+ai.scriptexecute", "+publish", "resetchannels", "&mine")
        assert publish("mine") == ""
        assert "NOPERM " in publish("yours")

    def test_notifications_need_the_right_to_their_channels(self, server, stored, connection):
        """The events of a forbidden key are announced by channels, which are permitted as channels."""
        stored.call("CONFIG", "SET", "notify-keyspace-events", "KEd")
        self.log_in(stored, connection, "+subscribe", "+psubscribe", "resetchannels", "&__keyspace@0__:mine")
        assert connection.call("SUBSCRIBE", "__keyspace@0__:yours").text.startswith("NOPERM ")
        assert connection.call("PSUBSCRIBE", "__keyspace@0__:*").text.startswith("NOPERM ")
        assert connection.call("SUBSCRIBE", "__keyspace@0__:mine")[0] == b"subscribe"
        set_tensor(stored, "yours", [1])
        set_tensor(stored, "mine", [1])
        assert connection.read() == [b"message", b"__keyspace@0__:mine", b"ai.tensorset"]
        assert not connection.has_reply(within=0.1)

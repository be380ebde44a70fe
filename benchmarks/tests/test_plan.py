import base64

import pytest
from support.resp import encode_command

from suite.floors import echo_command, echo_of
from suite.load import Closed, Duration, Open, Ping, plan
from suite.serving import Process, Splice, Step, Target

TARGETS = {"main": Target("resp", 7000), "store": Target("resp", 7001)}
REQUEST = (
    Step("store", b"GET"),
    Step("main", b"....data", path="/service/Method", splice=Splice(4, 4)),
)


def test_closed_loop() -> None:
    made = plan("label", TARGETS, [Process("server", 12)], [REQUEST], Closed(50, 2), Duration(3, 0.5))
    assert made["load"] == {"mode": "closed", "connections": 50, "pipeline": 2}
    assert made["targets"]["store"] == {"protocol": "resp", "port": 7001, "host": "127.0.0.1"}
    assert made["processes"] == [{"name": "server", "pid": 12}]
    assert (made["seconds"], made["warm_up_seconds"]) == (3, 0.5)
    assert "ping" not in made


def test_open_loop_with_pings() -> None:
    made = plan("label", TARGETS, [], [REQUEST], Open(1000, 8), Duration(1), Ping("main"))
    assert made["load"] == {"mode": "open", "rate": 1000, "connections": 8, "arrivals": "poisson"}
    assert made["ping"] == {"target": "main", "rate": 1000}


def test_steps_keep_their_bytes_and_what_they_lack_is_left_out() -> None:
    fetch, score = plan("label", TARGETS, [], [REQUEST], Closed(1), Duration(1))["requests"][0]["steps"]
    assert base64.b64decode(fetch["payload"]) == b"GET"
    assert set(fetch) == {"target", "payload", "replies"}
    assert score["path"] == "/service/Method"
    assert score["splice"] == {"offset": 4, "length": 4}


@pytest.mark.parametrize("size", [31, 100, 123, 280, 1000, 5000])
def test_echo_has_as_many_bytes(size: int) -> None:
    assert len(echo_command(size)) == size


def test_echo_is_a_byte_short_where_its_length_takes_another_digit() -> None:
    shortest = len(encode_command("ECHO", b"x" * 9))
    assert len(echo_command(shortest + 1)) == shortest


def test_echo_of_too_few_bytes_is_an_error() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        echo_command(10)


def test_floor_of_a_request_has_its_steps_and_replies() -> None:
    request = (Step("main", b"a" * 301, replies=3), Step("main", b"b" * 50))
    pipelined, single = echo_of(request)
    assert len(pipelined.payload) == 301
    assert pipelined.payload.count(b"ECHO") == pipelined.replies == 3
    assert len(single.payload) == 50

"""A primary with models is killed under load; three sentinels promote its replica, and clients go on."""

import threading
import time

import redis
from redis.sentinel import Sentinel

from support import onnx_models
from support.commands import get_tensor, set_tensor, store_model
from support.replication import PRIMARY, start_replica
from support.sentinel import NAME, Sentinels
from support.wait import eventually


class Writer(threading.Thread):
    """Runs a model and waits until a replica has the output; when the primary is lost, asks the sentinels for another one."""

    def __init__(self, sentinel, number):
        super().__init__()
        self.client = sentinel.master_for(NAME, socket_timeout=5)
        self.number, self.stop = number, threading.Event()
        self.safe, self.lost_connections, self.last_success = [], 0, 0.0

    def run(self):
        serial = 0
        while not self.stop.is_set():
            serial += 1
            key = f"{self.number}:{serial}"
            try:
                with self.client.pipeline(transaction=False) as pipeline:
                    pipeline.execute_command("AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, key)
                    pipeline.wait(1, 1000)
                    replies = pipeline.execute()
                if replies[1] >= 1:
                    self.safe.append(key)
                self.last_success = time.monotonic()
            except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
                self.lost_connections += 1
                time.sleep(0.05)


def test_sentinels_promote_the_replica(start_server, server_kind):
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    store_model(raw, "m", onnx_models.add_constant(1))
    store_model(raw, "other", onnx_models.big_weights(8))
    set_tensor(raw, "x", [1, 2])
    replica = start_replica(start_server, primary)
    with Sentinels(server_kind, primary) as sentinels:
        sentinel = Sentinel([("127.0.0.1", port) for port in sentinels.ports], socket_timeout=2)
        writers = [Writer(sentinel, number) for number in range(4)]
        for writer in writers:
            writer.start()
        try:
            eventually(lambda: all(len(writer.safe) > 20 for writer in writers), "they write", 20)
            primary.kill9()
            killed = time.monotonic()
            eventually(lambda: replica.info("replication")["role"] == "master", "the replica is promoted", 60)
            eventually(lambda: all(writer.last_success > killed + 0.7 for writer in writers), "they go on", 60)
        finally:
            for writer in writers:
                writer.stop.set()
            for writer in writers:
                writer.join(20)
        assert sentinel.discover_master(NAME) == ("127.0.0.1", replica.port), sentinels.log_text()
    # What one other server had confirmed is there, the models are ready, and runs are right.
    raw = replica.raw()
    for writer in writers:
        assert raw.call("EXISTS", *writer.safe) == len(writer.safe) and writer.lost_connections > 0
    assert get_tensor(raw, writers[0].safe[-1]).tolist() == [2, 3]
    assert replica.info("modules")["ai_models_ready"] == "2"

"""POST /score/NUMBER with a transaction, FLOAT32, answers with both probabilities, FLOAT32; the reference record of
that number is read from the store."""

import os
import threading

import flask
import numpy as np
import redis
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(-1)

app = flask.Flask("fraud")
model = tf.saved_model.load(os.environ["FRAUD_MODEL"])
score = model.signatures["serving_default"]
store_port = os.environ.get("REFERENCE_STORE_PORT")
clients = threading.local()


def tensor(values: bytes) -> tf.Tensor:
    return tf.constant(np.frombuffer(values, np.float32)[np.newaxis])


def reference(number: int) -> bytes:
    """The record, through a connection of this thread's own: cheaper than one from a pool."""
    if not hasattr(clients, "redis"):
        clients.redis = redis.Redis(port=int(store_port), single_connection_client=True)
    return clients.redis.get(f"ref:{number}")


@app.post("/score/<int:number>")
def answer(number: int) -> flask.Response:
    inputs = {"transaction": tensor(flask.request.get_data(cache=False))}
    if store_port:
        inputs["reference"] = tensor(reference(number))
    return flask.Response(score(**inputs)["output"].numpy().tobytes(), mimetype="application/octet-stream")


@app.get("/ready")
def ready() -> str:
    return "ready"

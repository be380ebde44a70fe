"""HTTP/1.1 as the adapters need it: requests as bytes, and one plain exchange."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any

import numpy as np

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 30
OCTETS = {"Content-Type": "application/octet-stream"}


def post(path: str, body: bytes, headers: Mapping[str, str] = OCTETS) -> bytes:
    """A whole request."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def post_json(path: str, content: Any) -> bytes:
    return post(path, json.dumps(content, separators=(",", ":")).encode(), {"Content-Type": "application/json"})


def answers_ok(port: int, path: str) -> bool:
    """Whether a GET is answered with 200 now."""
    connection = HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def floats(body: bytes) -> np.ndarray:
    return np.frombuffer(body, np.float32)


def get_json(port: int, path: str) -> Any:
    """What a GET is answered with, or None if not with 200."""
    connection = HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return json.loads(response.read()) if response.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def first_output(body: bytes) -> np.ndarray:
    """The row of TensorFlow Serving's only output in column format."""
    return np.array(json.loads(body)["outputs"][0], np.float32)

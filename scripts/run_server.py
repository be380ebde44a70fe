#!/usr/bin/env python3
"""Starts a server with the module in the foreground and classifies some of this repository's files with it.

Ctrl-C stops the server. The data lives in a temporary folder unless --data names one. Listens on loopback only.
"""

import argparse
import ctypes
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1

# One file of each kind, where there is one.
SAMPLES = (
    "README.md",
    "Makefile",
    "Package.swift",
    "Sources/RedisAI/*.swift",
    "Sources/CRedisModule/include/*.h",
    "scripts/run_server.py",
    "scripts/stage.sh",
    ".swift-format",
    ".gitignore",
    "docs/architecture/*.md",
    "dist/redisai.so",
)


class RunError(Exception):
    """Anything that ends the program; the text is for the user."""


def free_port(port: int) -> int:
    """The port itself, or for 0 one that the system picks; an error if somebody listens there."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise RunError(f"cannot listen on port {port} ({error}); choose another: make run PORT=6380") from None
        return probe.getsockname()[1]


def data_folder(wanted: Path | None) -> AbstractContextManager[str]:
    """The folder that the user asked for, else one that is removed at the end."""
    if wanted is None:
        return tempfile.TemporaryDirectory(prefix="redisai-")
    wanted.mkdir(parents=True, exist_ok=True)
    return nullcontext(str(wanted))


def server_command(arguments: argparse.Namespace, port: int, data: str) -> list[str]:
    """The server; its data is saved only if the user asked for a place to keep it."""
    command = [arguments.server, "--port", str(port), "--bind", HOST, "--dir", data]
    command += [] if arguments.data else ["--save", ""]
    return [*command, "--loadmodule", str(arguments.module.resolve())]


def die_with_parent() -> None:
    """Have the kernel end the server if this program is killed outright."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until_ready(server: subprocess.Popen, port: int) -> None:
    """Return when the server answers PING."""
    deadline = time.monotonic() + START_SECONDS
    while not answers_ping(port):
        if server.poll() is not None:
            raise RunError(f"the server ended with status {server.returncode}; its log is above")
        if time.monotonic() > deadline:
            raise RunError(f"the server does not answer after {START_SECONDS} s")
        time.sleep(0.05)


def answers_ping(port: int) -> bool:
    try:
        with closing(socket.create_connection((HOST, port), timeout=1)) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def sample_files() -> list[str]:
    """Paths relative to the repository: the first match of each pattern."""
    matches = (sorted(REPOSITORY.glob(pattern)) for pattern in SAMPLES)
    return [str(found[0].relative_to(REPOSITORY)) for found in matches if found]


def classify(arguments: argparse.Namespace, port: int) -> None:
    """Print the table. The client is a separate program, as an application would be."""
    config = arguments.model.with_name("config.min.json")
    command = [arguments.python, "examples/classify_files.py", "--port", str(port)]
    command += ["--model", arguments.model, "--config", config, *sample_files()]
    print("\n==> classifying files of this repository with Magika, inside the server\n", flush=True)
    if status := subprocess.run(command, cwd=REPOSITORY).returncode:
        raise RunError(f"examples/classify_files.py ended with status {status}")


def stop(server: subprocess.Popen, patience: float | None) -> None:
    """End the server: politely and, when patience has run out, not."""
    server.terminate()
    try:
        server.wait(patience)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def raise_exit(number: int, frame: object) -> None:
    """Turn a signal into an exception, so that the server is stopped on the way out."""
    raise SystemExit(128 + number)


def serve(arguments: argparse.Namespace, port: int) -> None:
    """Run the server until it ends, a signal comes or, with --once, the table is printed."""
    with data_folder(arguments.data) as data:
        server = subprocess.Popen(server_command(arguments, port, data), preexec_fn=die_with_parent)
        try:
            wait_until_ready(server, port)
            classify(arguments, port)
            if not arguments.once:
                print(f"\nThe server runs on port {port}. Ctrl-C stops it.", flush=True)
                if server.wait():
                    raise RunError(f"the server ended with status {server.returncode}")
        except KeyboardInterrupt:
            pass
        finally:
            # A server that keeps its data may need long to save it.
            stop(server, patience=None if arguments.data else STOP_SECONDS)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    parser.add_argument("--check-port", action="store_true", help="only tell whether the port is free")
    parser.add_argument("--server", help="redis-server or valkey-server")
    parser.add_argument("--module", type=Path, help="redisai.so")
    parser.add_argument("--python", help="an interpreter that has what examples/ need")
    parser.add_argument("--model", type=Path, help="Magika's model.onnx, its configuration beside it")
    parser.add_argument("--data", type=Path, help="folder to keep the server's data in")
    parser.add_argument("--once", action="store_true", help="stop after the table")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, raise_exit)
    try:
        port = free_port(arguments.port)
        if not arguments.check_port:
            serve(arguments, port)
    except RunError as error:
        print(f"run: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

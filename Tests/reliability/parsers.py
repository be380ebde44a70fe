"""Bytes made by libFuzzer for everything in the module that parses: ``python -m reliability.parsers --help``.

The parsers are built with Address Sanitizer and counters of what has been run, which lead libFuzzer to bytes that get
further. It starts from real files of all formats. What is worth keeping stays in the folder for the next time; bytes
that end the process, take longer than some seconds or too much memory are a finding, and end the campaign with
status 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from support import fraud_models, onnx_models, saved_models, tf_models, tflite_models

from reliability import model_corpus

SLOW_SECONDS = 10
MEMORY_MEGABYTES = 2048
LONGEST_BYTES = 65_536
_LAST_LINE = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+) .*corp: (\d+)/")


def seeds() -> dict[str, list[bytes]]:
    """Good files, by parser."""
    onnx = [onnx_models.sum_and_difference(), onnx_models.counting_loop(), onnx_models.mul_by_weights()]
    onnx += [fraud_models.onnx_model(), *model_corpus.small_models().values()]
    tflite = [tflite_models.rows(), tflite_models.two(), tflite_models.int8(), fraud_models.tflite_model()]
    graphs = [tf_models.rows(), tf_models.mul(), tf_models.where(), tf_models.split(), tf_models.parse()]
    graphs += [fraud_models.frozen_graph()]
    folders = [saved_models.two(), saved_models.vocabulary(), saved_models.loop(), saved_models.without_serving()]
    definitions = [folder["saved_model.pb"] for folder in folders]
    small = {"saved_model.pb": b"definition", "variables/variables.index": b"index", "assets/words.txt": b"words"}
    archives = [saved_models.pack(small, form, top) for form in saved_models.FORMATS for top in ("", "model/")]
    tensors = [bytes([kind, 1, 2, 0]) + np.arange(2, dtype=np.float64).tobytes()[: 2 * 8] for kind in range(10)]
    tensors.append(bytes([9, 2, 2, 1]) + b"one\0two\0")
    strings = [np.array([2, 16, 19, 22], np.int32).tobytes() + b"onetwo"]
    return {
        "onnx": onnx,
        "tflite": tflite,
        "graph": graphs,
        "savedModel": definitions,
        "archive": archives,
        "tensor": tensors,
        "strings": strings,
        "checkAnswer": [b"+\0", b"-text\0"],
    }


def fuzz(program: Path, name: str, files: list[bytes], folder: Path, seconds: int, seed: int) -> str | None:
    """What is wrong with one parser; prints how far libFuzzer came."""
    corpus, findings = folder / "corpus" / name, folder / "findings" / name
    for path in (corpus, findings):
        path.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(files):
        if len(content) <= LONGEST_BYTES:
            (corpus / f"seed-{number}").write_bytes(content)
    command = [str(program), str(corpus), f"-max_total_time={seconds}", f"-timeout={SLOW_SECONDS}", f"-seed={seed}"]
    command += [f"-rss_limit_mb={MEMORY_MEGABYTES}", f"-max_len={LONGEST_BYTES}", f"-artifact_prefix={findings}/"]
    # The Swift runtime's own report would take minutes and wait for nobody.
    environment = os.environ | {"FUZZED_PARSER": name, "SWIFT_BACKTRACE": "enable=no"}
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        status = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
            timeout=seconds + 120, check=False,
        ).returncode  # fmt: skip
    text = log.read_text(errors="replace")
    done = _LAST_LINE.search(text)
    if status == 0 and done:
        runs, places, kept = (int(number) for number in done.groups())
        print(f"  {name:12} {runs:>10,} runs, {places:>5,} places reached, {kept:>5,} files kept", flush=True)
        return None
    return f"{name}: status {status}; the bytes are in {findings}\n" + "\n".join(text.splitlines()[-40:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="parsers", description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, default=Path(".build/fuzz/fuzz-parsers"))
    parser.add_argument("--folder", type=Path, default=Path(".build/fuzz"), help="for what is kept and found")
    parser.add_argument("--seconds", type=int, default=60, help="for each parser")
    parser.add_argument("--seed", type=int, default=0, help="default: another one each time")
    parser.add_argument("parsers", nargs="*", help="default: all")
    options = parser.parse_args()
    problems = []
    for name, files in seeds().items():
        if not options.parsers or name in options.parsers:
            problems.append(fuzz(options.program, name, files, options.folder, options.seconds, options.seed))
    found = [problem for problem in problems if problem]
    for problem in found:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"{len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

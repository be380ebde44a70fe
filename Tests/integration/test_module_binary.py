"""The module lives in somebody else's process: what it exports, what it needs and what it must not contain."""

import os
import re
import subprocess

ENTRY_POINTS = {"RedisModule_OnLoad", "RedisModule_OnUnload"}
# What every system that runs a server has.
ALLOWED_LIBRARIES = re.compile(
    r"(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s|ld-linux-x86-64|ld-linux-aarch64)\.so\.\d+"
)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _needed(path: str) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.*)\]", _output("readelf", "-d", "-W", path))


def test_exports_only_the_entry_points(module_path):
    exported = {
        line.split()[-1].split("@")[0] for line in _output("nm", "-D", "-g", "--defined-only", module_path).splitlines()
    }
    assert "RedisModule_OnLoad" in exported
    assert exported <= ENTRY_POINTS


def test_needs_only_system_libraries(module_path):
    needed = _needed(module_path)
    assert [library for library in needed if not ALLOWED_LIBRARIES.fullmatch(library)] == []


def test_links_and_contains_no_foundation(module_path):
    assert not any("Foundation" in library or "libswift" in library for library in _needed(module_path))
    with open(module_path, "rb") as file:
        content = file.read()
    for mark in (
        b"libFoundation",
        b"FoundationEssentials",
        b"_NSString",
        b"CFStringCreate",
        b"libicu",
        b"FoundationInternationalization",
    ):
        assert mark not in content, mark


def test_does_not_link_the_engine(module_path):
    assert not any("onnxruntime" in library for library in _needed(module_path))
    undefined = _output("nm", "-D", "--undefined-only", module_path)
    assert "OrtGetApiBase" not in undefined


def test_has_no_search_path_of_the_build_machine(module_path):
    dynamic = _output("readelf", "-d", "-W", module_path)
    assert re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic) in ([], ["$ORIGIN"])


def test_stack_is_not_executable(module_path):
    [flags] = re.findall(r"GNU_STACK\s+(?:0x\w+\s+){5}(\w+)", _output("readelf", "-l", "-W", module_path))
    assert "E" not in flags


def test_size(module_path, capsys):
    size = os.path.getsize(module_path)
    with capsys.disabled():
        print(f"\nredisai.so: {size / 1e6:.1f} MB")
    assert size < 30_000_000

#!/usr/bin/env python3
"""Fails unless a test run ran tests, all of them, and none failed.

    scripts/check_report.py REPORT.xml [--swift-log LOG]

A skipped test, an expected failure (pytest) or a known issue (Swift Testing) has shown nothing, so it counts as a
failure. The JUnit report names skips and pytest's expected failures; known issues stand in Swift's log only.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

KNOWN_ISSUE = re.compile(r"Test (.+?) recorded a known issue")


def problems(report: Path) -> Iterator[str]:
    """What is wrong with the run, one line per test."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    if not cases:
        yield "no test ran"
    for case in cases:
        for outcome in ("skipped", "failure", "error"):
            if case.find(outcome) is not None:
                yield f"{outcome}: {case.get('classname')} {case.get('name')}"


def known_issues(log: Path) -> Iterator[str]:
    for line in log.read_text(errors="replace").splitlines():
        if match := KNOWN_ISSUE.search(line):
            yield f"known issue: {match[1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--swift-log", type=Path)
    arguments = parser.parse_args()
    found = [*problems(arguments.report), *(known_issues(arguments.swift_log) if arguments.swift_log else [])]
    for problem in found:
        print(f"{arguments.report.name}: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

import sys


def say(line: str) -> None:
    """Tell the user what is going on; standard output is left to results."""
    print(f"==> {line}", file=sys.stderr, flush=True)

"""Bad commands and damaged model files against real servers: ``python -m reliability.fuzz --help``.

Needs REDISAI_SERVERS, REDISAI_MODULE and REDISAI_MAGIKA as the integration tests do. Ends with status 1 when a server
dies or hangs, answers what the contract does not allow, or keeps memory.
"""

from __future__ import annotations

import argparse
import sys

from support.server import Server, ServerKind, kinds_from_environment, module_from_environment

from reliability import command_campaign, command_fuzz, model_campaign
from reliability.each_server import campaign_parser
from reliability.model_families import FAMILIES, Family, families_of


def main() -> int:
    options = _parse_arguments()
    seed = options.seed
    kinds = [kind for kind in kinds_from_environment() if not options.servers or kind.name in options.servers]
    families = families_of(options.engines)
    families = [family for family in families if not options.formats or family.name in options.formats.split(",")]
    print(f"seed {seed} (repeat with SEED={seed}), {options.count:,} commands, {options.models:,} files per format")
    problems: list[str] = []
    for kind in kinds:
        if options.count:
            problems += fuzz_commands(kind, seed, options.count)
        if options.models:
            problems += fuzz_models(kind, seed, options.models, families)
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"seed {seed}: {len(problems)} problems")
    return 1 if problems else 0


def fuzz_commands(kind: ServerKind, seed: str, count: int) -> list[str]:
    """The stage of bad commands on one kind of server."""
    print(f"==> commands on {kind.name}", flush=True)
    module = module_from_environment()
    with Server(kind.name, kind.binary, module, module_args=command_fuzz.MODULE_ARGS, lifetime=6 * 3600) as server:
        campaign = command_campaign.run_campaign(server, seed, count)
        tally = campaign.tally
        for name, number in sorted(tally.commands.items()):
            print(f"  {name:18} {number:>9,}")
        print(f"  {len(tally.errors)} different error texts, {tally.succeeded:,} commands succeeded")
        print(f"  whether they succeed was foreseen for {tally.decided / max(1, tally.total):.1%} of the commands")
        print(f"  RSS slope {campaign.rss_slope():,.0f} bytes per 1,000 commands")
        report = server.crash_report()
        return campaign.problems + ([report] if report and not campaign.troubles else [])


def fuzz_models(kind: ServerKind, seed: str, count: int, families: list[Family]) -> list[str]:
    """The stage of damaged model files on one kind of server; so many of every format."""
    problems = []
    for family in families:
        print(f"==> {family.name} files on {kind.name}", flush=True)
        problems += model_campaign.run(kind, module_from_environment(), seed, count, family)
    return problems


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("fuzz", __doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="commands per server")
    parser.add_argument("--models", type=int, default=2_000, help="damaged files per format and server")
    parser.add_argument("--formats", default="", help=f"of {', '.join(FAMILIES)}; default: all of the engines")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Public data on this machine: `python -m tests.simulators --rows 10000 --latency-ms 150`."""

import argparse
import asyncio
from contextlib import suppress

from tests.simulators import faults
from tests.simulators.app import KEY, Simulator, serving


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.simulators", description=__doc__)
    parser.add_argument("--port", type=int, default=8900, help="0 for any free one (default: 8900)")
    parser.add_argument("--rows", type=int, default=2_590, help="of each large table (default: 2590)")
    parser.add_argument("--latency-ms", type=float, default=0, help="before each answer")
    parser.add_argument("--daily-limit", type=int, help="calls, after which the key is spent")
    parser.add_argument("--key", default=KEY, help=f"that is taken (default: {KEY})")
    parser.add_argument("--fault", type=faults.Fault, choices=list(faults.Fault), help="what goes wrong")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--share", type=float, default=1.0, help="of the calls that go wrong (default: all)")
    when.add_argument("--once-each", action="store_true", help="only the first time that a call is made")
    parser.add_argument("--seed", type=int, default=0, help="of --share's dice")
    return parser.parse_args()


def _simulator(arguments: argparse.Namespace) -> Simulator:
    plan: faults.Plan = faults.none
    if arguments.fault and arguments.once_each:
        plan = faults.once_each(arguments.fault)
    elif arguments.fault:
        plan = faults.now_and_then(arguments.fault, arguments.share, arguments.seed)
    return Simulator(
        rows=arguments.rows,
        keys={arguments.key},
        latency_s=arguments.latency_ms / 1_000,
        daily_limit=arguments.daily_limit,
        plan=plan,
    )


async def _serve(arguments: argparse.Namespace) -> None:
    async with serving(_simulator(arguments), arguments.port) as url:
        print(  # noqa: T201
            f"MAFRA           {url}/openapi\n"
            f"Seoul           {url}\n"
            f"Food safety     {url}/api\n"
            f"data.go.kr      {url}\n"
            f"LOCALDATA       {url}/files/large-stores.csv\n"
            f"전통시장        {url}/files/traditional-markets.csv\n"
            f"Key             {arguments.key}",
            flush=True,
        )
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(_arguments()))

"""A worker in a process of its own: `python -m tests.app.worker_process DATABASE_URL [cron]`."""

import asyncio
import sys

from app.asgi import transactions_on
from app.database import make_engine
from app.worker import work
from resolvers.jobs import cron
from tests.app.job_handlers import BRISK, CRON_EVERY_SECOND


async def main(url: str) -> None:
    await work(transactions_on(make_engine(url)), url, BRISK)


if __name__ == "__main__":
    if "cron" in sys.argv:
        cron(CRON_EVERY_SECOND, "test.tick")
    asyncio.run(main(sys.argv[1]))

"""Hears a channel on behalf of a whole process, whatever happens to one listener."""

import asyncio
import logging
from collections.abc import Callable

from subscriptions.hub import Hub
from subscriptions.listener import GAP, HubClosed, LiveEvent, MustResume, Policy

log = logging.getLogger(__name__)

_PAUSE_AFTER_FAULT_S = 1.0


async def hear(
    hub: Hub, channel: str, on_event: Callable[[LiveEvent], None], policy: Policy = Policy.ORDERED
) -> None:
    """Call `on_event` with what comes on a channel until the hub closes, then return.

    Each time that listening begins, the first one too, is a gap: what was before has to be asked for.
    """
    while True:
        try:
            async with hub.listen(channel, policy) as live:
                on_event(GAP)
                async for event in live:
                    on_event(event)
                    # What arrived at once must not hold up everybody else.
                    await asyncio.sleep(0)
        except HubClosed:
            return
        except MustResume:
            continue
        except Exception:
            log.exception("Nothing is heard on %s for %g s", channel, _PAUSE_AFTER_FAULT_S)
        await asyncio.sleep(_PAUSE_AFTER_FAULT_S)

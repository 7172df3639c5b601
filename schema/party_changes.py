"""Parties as they change, live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from models import errors
from models.parties import is_listed
from resolvers import party_changes as resolvers
from resolvers.haversine import distance_m
from resolvers.live import PartyVersion
from resolvers.near import Around
from resolvers.views import PartyView
from schema import ids
from schema.context import Context, Info
from schema.nearby import circle_of
from schema.nodes import WITHIN_M, PointInput
from schema.parties import Party
from subscriptions import channels
from subscriptions.feed import follow
from subscriptions.listener import Gap
from subscriptions.regions import Change


@strawberry.enum(description="What a change is to somebody who looks at a circle on the map.")
class NearbyChangeKind(Enum):
    """As `subscriptions.regions` has it."""

    APPEARED = strawberry.enum_value("appeared", description="It is listed there now.")
    CHANGED = strawberry.enum_value("changed", description="It is listed there, and something is different.")
    GONE = strawberry.enum_value("gone", description="It is over, too late to join, or elsewhere.")


@strawberry.type(description="A party that appears, changes or disappears around a point.")
class NearbyPartyChange:
    """See subscriptions.regions."""

    kind: NearbyChangeKind = strawberry.field(
        description="After an interruption, CHANGED may be news, and GONE may be of a party never seen."
    )
    distance_meters: float = strawberry.field(
        description="From the point to where the party's market is now, as the crow flies (haversine)."
    )
    party: Party = strawberry.field(description="The party as it is now.")


@strawberry.type
class PartySubscription:
    """Fields of Subscription."""

    @strawberry.subscription(
        description="The party as it is now, then after each change of it or of its members. Of changes in "
        "quick succession the last is enough."
    )
    async def party_changes(
        self,
        info: Info,
        party_id: Annotated[strawberry.ID, strawberry.argument(description="The party's id.")],
    ) -> AsyncGenerator[Party, None]:
        """Follow its versions."""
        context, key = info.context, ids.decode("Party", party_id)
        _ = context.viewer
        async with aclosing(_versions(context, key)) as versions:
            async for version in versions:
                yield Party.of(version.party, version.number)

    @strawberry.subscription(
        description="Parties that appear, change or disappear within a radius around a point; without "
        "`near`, around the viewer's home. Subscribe first, then ask nearbyParties: nothing is missed."
    )
    async def nearby_party_changes(
        self,
        info: Info,
        near: Annotated[PointInput | None, strawberry.argument(description="Around this point.")] = None,
        within_meters: Annotated[
            int | None, strawberry.argument(description="How far at most: 1 to 50,000 metres.")
        ] = WITHIN_M,
    ) -> AsyncGenerator[NearbyPartyChange, None]:
        """Take what comes; after a gap, what may have been missed."""
        context = info.context
        _ = context.viewer
        async with context.read() as tx:
            circle = await circle_of(tx, info, near, within_meters)
        since = resolvers.moment()
        async with context.live.regions.around(circle.latitude, circle.longitude, circle.within_m) as changes:
            async for change in changes:
                if isinstance(change, Gap):
                    earlier, since = since, resolvers.moment()
                    for missed in await _missed(context, circle, earlier):
                        yield missed
                elif (found := await _changed(context, circle, change)) is not None:
                    since = resolvers.moment()
                    yield found


async def _versions(context: Context, party_id: UUID) -> AsyncGenerator[PartyVersion, None]:
    """Every version from the one of now on, or what is newer by the time it is read."""
    live, channel = context.live, channels.party(party_id)
    newest = (await live.parties.read(channel, None)).cursor
    if newest == 0:
        raise errors.NotFound("party", party_id)
    async with aclosing(follow(live.hub, channel, newest - 1, live.parties.of(channel))) as versions:
        async for version in versions:
            yield version


async def _changed(context: Context, circle: Around, change: Change) -> NearbyPartyChange | None:
    page = await context.live.parties.read(channels.party(change.party_id), change.version - 1)
    for version in page.rows:
        return _seen_from(circle, NearbyChangeKind(change.kind.value), version.party)
    return None


async def _missed(context: Context, circle: Around, since: UUID) -> list[NearbyPartyChange]:
    async with context.read() as tx:
        parties = await resolvers.changed_around(tx, circle, since)
    seen: list[NearbyPartyChange] = []
    for party in parties:
        change = _seen_from(circle, NearbyChangeKind.CHANGED, party)
        is_there = change.distance_meters <= circle.within_m
        if not (is_there and is_listed(party.status, party.join_by, party.ends_at, tx.now)):
            change.kind = NearbyChangeKind.GONE
        seen.append(change)
    return seen


def _seen_from(circle: Around, kind: NearbyChangeKind, party: PartyView) -> NearbyPartyChange:
    market = party.market
    distance = distance_m(circle.latitude, circle.longitude, market.latitude, market.longitude)
    return NearbyPartyChange(kind=kind, distance_meters=distance, party=Party.of(party))

"""What subscriptions and counts stand on: one of each for the process, however many people ask."""

from dataclasses import dataclass

from resolvers.chat_views import MessageView
from resolvers.live import PartyVersion
from resolvers.notification_views import NotificationView
from resolvers.penalty_counts import PenaltyCounts
from subscriptions.batches import BatchReader
from subscriptions.hub import Hub
from subscriptions.presence import Presence
from subscriptions.regions import Regions
from subscriptions.session_ends import SessionEnds


@dataclass(frozen=True)
class Live:
    """Live events, the reads that make them complete, and what they keep right."""

    hub: Hub
    messages: BatchReader[MessageView]
    notifications: BatchReader[NotificationView]
    parties: BatchReader[PartyVersion]
    presence: Presence
    regions: Regions
    session_ends: SessionEnds
    penalty_counts: PenaltyCounts

"""Locks on rows, taken in one order everywhere.

A party; its memberships; its penalties; its chat; its members' places in the chat; then, once for a whole
transaction and in the order of ids, whoever is told, and their mailboxes. Whoever takes them in another
order makes a deadlock.
"""

from uuid import UUID

from models.errors import NotFound
from models.parties import Party
from resolvers.party_news import PartyNews
from resolvers.transaction import Transaction


async def lock_party(tx: Transaction, party_id: UUID) -> Party:
    """The party's row, held until the transaction ends: every change of places queues here.

    Others may go on to refer to the party meanwhile: a chat message does not wait for an acceptance.

    Raises:
        NotFound
    """
    party = await tx.session.get(Party, party_id, with_for_update={"key_share": True}, populate_existing=True)
    if party is None:
        raise NotFound("party", party_id)
    tx.collected(PartyNews).remember(party, tx.now)
    return party

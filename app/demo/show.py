"""What a newcomer needs to begin: accounts, links, and a first query."""

from rich.console import Console
from rich.table import Table

from app.demo.load import PASSWORD
from app.demo.scenario import read_scenario

FIRST_QUERY = """\
{
  nearbyParties(near: {latitude: 37.5562, longitude: 126.9056}, first: 5) {
    totalCount
    edges { distanceMeters node { item { name } market { name } leader { nickname } placesLeft startsAt } }
  }
}"""


def show_demo(out: Console, url: str) -> None:
    """Print the accounts of the story and what to try first."""
    table = Table(title="Neighbours", title_justify="left", box=None, pad_edge=False)
    for column in ("e-mail", "nickname", "home", "role"):
        table.add_column(column, no_wrap=True)
    for person in read_scenario().people:
        table.add_row(person.email, person.nickname, person.address, person.role)
    out.print()
    out.print(table)
    out.print(f"\nEverybody's password is [bold]{PASSWORD}[/bold].")
    out.print(f"\nOpen [bold]{url}/graphiql[/bold] and sign in, or ask from here:\n")
    one_line = " ".join(FIRST_QUERY.split())
    out.print(
        f"curl {url}/graphql -H 'content-type: application/json' -d '{{\"query\": \"{one_line}\"}}'",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    out.print("\nCtrl-C stops everything.")

"""A Node server that others wrote, for the live benchmarks to compare with: mercurius, in `server.mjs`."""

import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"  # npm writes it last
INSTALL_WITHIN_S = 300

SUBSCRIPTION = """
    subscription Follow($partyId: ID!) {
        chatMessages(partyId: $partyId) { id number kind sender { id nickname } text sentAt }
    }
"""
MUTATION = """
    mutation Send($input: SendChatMessageInput!) { sendChatMessage(input: $input) { number } }
"""


class NodeMissing(Exception):
    """Node.js 20 or newer, with npm, is not installed."""


def install() -> None:
    """Install what the lock file names, unless it is here already.

    Raises:
        NodeMissing, CalledProcessError
    """
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= (FOLDER / "package-lock.json").stat().st_mtime:
        return
    # Two packages ask for a newer Node than they need, of which npm would warn.
    command = [find("npm"), "ci", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(command, cwd=FOLDER, stdout=subprocess.DEVNULL, timeout=INSTALL_WITHIN_S, check=True)


def find(program: str) -> str:
    """Where `node` or `npm` is.

    Raises:
        NodeMissing
    """
    path = shutil.which(program)
    if path is None:
        raise NodeMissing
    return path

"""The documents tell the truth: what they show is run, what they list is compared with the code.

How blocks are read: a ```graphql block is an operation. When it declares variables, the ```json block after
it holds them. The next ```json block is the answer, or a part of it. In variables `"<party.members[0].id>"`
is a value of an earlier answer and `"<in 48 hours>"` a time. In answers `"…"` is anything, and any rest at
the end of a list. An operation is sent with the last access token that an answer held.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from graphql import OperationDefinitionNode, parse

from app.cli import app as commands
from app.settings import ROOT, Settings

README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("importers/**/*.md")])
TEXTS = {path: path.read_text("utf-8") for path in DOCUMENTS}
WITH_OPERATIONS = [path for path, text in TEXTS.items() if "```graphql" in text]
START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 15.0

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

PLACEHOLDER = re.compile(r"<(.+)>")
LATER = re.compile(r"in (\d+) hours")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass
class Step:
    """An operation of a document, with what it is sent with and what shall come back."""

    line: int
    query: str
    variables: Json = None
    answer: Json = None

    def takes_variables(self) -> bool:
        """Whether the operation declares any."""
        return any(
            definition.variable_definitions
            for definition in parse(self.query).definitions
            if isinstance(definition, OperationDefinitionNode)
        )

    def is_subscription(self) -> bool:
        """Whether answers come one after the other."""
        return "subscription" in {
            definition.operation.value
            for definition in parse(self.query).definitions
            if isinstance(definition, OperationDefinitionNode)
        }


def steps_of(text: str) -> list[Step]:
    """The operations of a document in its order."""
    steps: list[Step] = []
    open_step: Step | None = None
    for block in FENCED.finditer(text):
        language, content = block[1], block[2]
        line = text.count("\n", 0, block.start()) + 1
        if language == "graphql":
            open_step = Step(line, content)
            steps.append(open_step)
        elif language == "json" and open_step is not None:
            if open_step.variables is None and open_step.takes_variables():
                open_step.variables = json.loads(content)
            else:
                open_step.answer = json.loads(content)
        else:
            open_step = None
    return steps


def filled(value: Json, answers: Json) -> Json:
    """The variables with values in the place of placeholders."""
    if isinstance(value, dict):
        return {key: filled(each, answers) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, answers) for each in value]
    if isinstance(value, str) and (placeholder := PLACEHOLDER.fullmatch(value)):
        if later := LATER.fullmatch(placeholder[1]):
            return (datetime.now(UTC) + timedelta(hours=int(later[1]))).isoformat()
        found = answers
        for name in re.findall(r"\w+", placeholder[1]):
            if isinstance(found, list):
                found = found[int(name)]
            else:
                assert isinstance(found, dict), f"no answer has {value}"
                found = found[name]
        return found
    return value


def differences(shown: Json, actual: Json, at: str = "") -> Iterator[str]:
    """Where an answer is not as it is shown."""
    if shown == "…":
        return
    if isinstance(shown, dict) and isinstance(actual, dict):
        for key, value in shown.items():
            yield from differences(value, actual.get(key, "nothing"), f"{at}.{key}")
    elif isinstance(shown, list) and isinstance(actual, list):
        wanted = shown[:-1] if shown[-1:] == ["…"] else shown
        if len(actual) < len(wanted) or (len(actual) > len(wanted) and wanted is shown):
            yield f"{at} has {len(actual)} elements, {len(wanted)} are shown"
        for number, (value, each) in enumerate(zip(wanted, actual, strict=False)):
            yield from differences(value, each, f"{at}[{number}]")
    elif shown != actual:
        yield f"{at} is {actual!r}, {shown!r} is shown"


@asynccontextmanager
async def demo_server(database_url: str, redis_url: str) -> AsyncGenerator[str, None]:
    """What the README's first command starts, on servers of ours; its address."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONUTF8": "1",
        "COLUMNS": "200",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "a secret for the documents alone",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "demo", "--port", "0"),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(START_WITHIN_S):
            yield await _address_said_by(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 30)


async def _address_said_by(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    said = ""
    while line := (await process.stdout.readline()).decode():
        said += line
        if address := re.search(r"listens on (http://[\d.]+:\d+)/graphql", line):
            return address[1]
    raise AssertionError(f"the demo did not start:\n{said}")


@pytest.mark.parametrize("document", WITH_OPERATIONS, ids=lambda path: path.name)
async def test_operations_answer_as_the_document_shows(document: Path, fresh_url: str, redis_url: str):
    answers: dict[str, Json] = {}
    headers = {"accept-language": "en"}
    async with (
        demo_server(fresh_url, redis_url) as address,
        httpx.AsyncClient(base_url=address, timeout=ANSWER_WITHIN_S, trust_env=False) as client,
    ):
        for step in steps_of(TEXTS[document]):
            where = f"{document.name}:{step.line}"
            assert step.variables is not None or not step.takes_variables(), f"{where} lacks its variables"
            request = {"query": step.query, "variables": filled(step.variables, answers)}
            answer = await answer_of(client, request, headers, is_stream=step.is_subscription())
            assert "errors" not in answer, f"{where}: {answer['errors']}"
            data: dict[str, Json] = answer["data"]
            assert not list(differences(step.answer or {}, data)), where
            answers |= data
            for value in data.values():
                if isinstance(value, dict) and "accessToken" in value:
                    headers["authorization"] = f"Bearer {value['accessToken']}"


async def answer_of(
    client: httpx.AsyncClient, request: dict[str, Json], headers: dict[str, str], *, is_stream: bool
) -> Any:
    """The answer; of a subscription the first one."""
    if not is_stream:
        return (await client.post("/graphql", json=request, headers=headers)).json()
    listening = headers | {"accept": "text/event-stream"}
    async with client.stream("POST", "/graphql", json=request, headers=listening) as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended without an event")


def rows_under(heading: str) -> list[list[str]]:
    """The cells of the table in a section of the README, without its head."""
    section = TEXTS[README].split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def shown_default(value: object) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, Path):
        return f"`{value.relative_to(ROOT)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_every_setting_is_in_the_readme_with_its_default_and_meaning():
    expected: list[list[str]] = []
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = str(getattr(alias, "choices", [None])[0] or f"GONGGU_{name.upper()}")
        expected.append([f"`{variable}`", shown_default(field.default), str(field.description)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in expected)
    assert rows_under("Settings") == expected, f"the table should be\n{table}"


def test_every_command_is_in_the_readme_with_the_first_line_of_its_help():
    expected: list[list[str]] = []
    for command in commands.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        help_line = (command.help or command.callback.__doc__ or "").splitlines()[0]
        expected.append([name, help_line])
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        expected.append([str(group.name), str(group.typer_instance.info.help)])
    rows = [[re.sub(r"`([\w-]+).*`", r"\1", usage), meaning] for usage, meaning in rows_under("Commands")]
    assert rows == expected


def test_the_launcher_knows_every_command_that_the_documents_start_with_it():
    said = subprocess.run(
        [sys.executable, ROOT / "gonggu", "--help"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    known = set(re.findall(r"^  ([a-z]+) ", said, re.MULTILINE))
    assert {"demo", "test"} <= known
    known |= {command.name or "demo" for command in commands.registered_commands} | {"grant-admin"}
    programs = [(ROOT / name).read_text("utf-8") for name in ("Makefile", ".ci/run")]
    used = set(re.findall(r"\./gonggu ([a-z][a-z-]*)", "\n".join([*TEXTS.values(), *programs])))
    assert {"demo", "test", "serve"} <= used <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(document: Path):
    broken: list[str] = []
    for link in LINK.findall(FENCED.sub("", TEXTS[document])):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (heading and heading not in anchors(target)):
            broken.append(link)
    assert not broken


def anchors(document: Path) -> set[str]:
    """What the headings of a document are called in links."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", TEXTS[document]), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_decision_is_in_the_list_of_decisions():
    folder = ROOT / "docs" / "adr"
    index = TEXTS[folder / "README.md"]
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert [path.name for path in decisions] == LINK.findall(index)
    numbers = [int(path.name[:4]) for path in decisions]
    assert numbers == list(range(1, len(decisions) + 1))
    for number, path in zip(numbers, decisions, strict=True):
        assert TEXTS[path].startswith(f"# {number}. "), path.name

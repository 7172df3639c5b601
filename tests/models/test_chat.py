from datetime import UTC, datetime
from typing import get_args
from uuid import uuid4

import pytest

from models.chat import Chat, ChatMessageKind, Notice, valid_client_key, valid_text
from models.errors import ChatAlreadyOpen, ChatClosed, InvalidInput, Language

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


def test_a_chat_is_closed_once_and_reopened_once():
    chat = Chat(party_id=uuid4(), opened_at=NOW)
    with pytest.raises(ChatAlreadyOpen):
        chat.reopen()
    chat.close(NOW)
    assert chat.closed_at == NOW
    with pytest.raises(ChatClosed):
        chat.close(NOW)
    chat.reopen()
    assert chat.closed_at is None


@pytest.mark.parametrize("notice", Notice)
@pytest.mark.parametrize("language", get_args(Language))
def test_what_the_server_says_is_a_sentence_and_names_whom_it_is_about(notice: Notice, language: Language):
    said = notice.text("망고", language)
    assert said.endswith((".", "!"))
    assert ("망고" in said) == (notice.kind is not ChatMessageKind.SYSTEM)
    assert "{" not in said


def test_coming_and_going_have_kinds_of_their_own():
    kinds = {notice: notice.kind for notice in Notice if notice.kind is not ChatMessageKind.SYSTEM}
    assert kinds == {
        Notice.JOINED: ChatMessageKind.JOINED,
        Notice.LEFT: ChatMessageKind.LEFT,
        Notice.REMOVED: ChatMessageKind.LEFT,
    }


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("  안녕하세요\n", "안녕하세요"),
        ("하나\n둘", "하나\n둘"),
        ("가" * 2_000, "가" * 2_000),
        (" " + "가" * 2_000 + " ", "가" * 2_000),
        ("🥭" * 2_000, "🥭" * 2_000),
        ("<b>&amp;", "<b>&amp;"),
        ("가".encode().decode() + "\u200d", "가\u200d"),
    ],
    ids=["trimmed", "newline", "longest", "longest after trimming", "astral", "as written", "joiner"],
)
def test_a_text_is_trimmed_and_else_kept_as_written(written: str, stored: str):
    assert valid_text(written) == stored


@pytest.mark.parametrize(
    "written",
    ["", " \n\t ", "가" * 2_001, "a\tb", "a\rb", "a\x00b", "a\x1bb", "a\x85b", "a\ud800b"],
    ids=["empty", "blank", "too long", "tab", "return", "nul", "escape", "next line", "half a pair"],
)
def test_a_text_that_is_empty_too_long_or_has_control_characters_is_refused(written: str):
    with pytest.raises(InvalidInput) as refusal:
        valid_text(written)
    assert refusal.value.field == "text"


@pytest.mark.parametrize("key", [None, "1", "가", "x" * 100, "a b"], ids=repr)
def test_a_key_of_a_client_is_kept(key: str | None):
    assert valid_client_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 101, "a\nb", "a\x00"], ids=["empty", "too long", "newline", "nul"])
def test_a_key_that_can_not_be_printed_or_is_too_long_is_refused(key: str):
    with pytest.raises(InvalidInput) as refusal:
        valid_client_key(key)
    assert refusal.value.field == "clientKey"

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DomainError, InvalidInput
from models.text import cleaned


def test_text_is_trimmed_and_its_letters_are_composed():
    decomposed = unicodedata.normalize("NFD", " 참기름 ")
    assert cleaned("name", decomposed, at_most=3) == "참기름"


@pytest.mark.parametrize(("text", "fits"), [("", False), ("가", False), ("가나", True), ("가나다", True)])
def test_the_shortest_length_counts_characters(text: str, fits: bool):
    assert accepts(text, at_least=2, at_most=3) is fits


@pytest.mark.parametrize(("text", "fits"), [("가나다", True), ("가나다라", False), (" 가나다 ", True)])
def test_the_longest_length_counts_what_is_left_after_trimming(text: str, fits: bool):
    assert accepts(text, at_most=3) is fits


@pytest.mark.parametrize("letter", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ud800", "\r"])
def test_control_characters_and_halves_of_letters_are_refused(letter: str):
    for multiline in (False, True):
        with pytest.raises(InvalidInput) as refusal:
            cleaned("note", f"a{letter}b", at_most=9, multiline=multiline)
        assert refusal.value.field == "note"


def test_newlines_are_kept_only_where_lines_are_meant():
    assert cleaned("note", "가\n나", at_most=9, multiline=True) == "가\n나"
    assert not accepts("가\n나", at_most=9)


def test_what_a_program_supplies_is_cut_and_stripped_instead_of_refused():
    assert cleaned("userAgent", "a\x00b\ud800c" + "d" * 300, at_most=200, truncate=True) == "abc" + "d" * 197


@given(st.text(), st.booleans())
def test_whatever_is_accepted_can_be_stored_and_is_stable(text: str, multiline: bool):
    try:
        kept = cleaned("note", text, at_most=50, multiline=multiline)
    except InvalidInput:
        return
    assert 1 <= len(kept) <= 50
    assert "\x00" not in kept.encode().decode()
    assert cleaned("note", kept, at_most=50, multiline=multiline) == kept


def test_every_refusal_has_a_sentence_in_both_languages():
    assert len(refusals()) >= 12
    for refusal in refusals():
        assert refusal.en != refusal.ko
        assert refusal.__doc__ is not None
        assert refusal.code().isupper()


def accepts(text: str, *, at_least: int = 1, at_most: int) -> bool:
    try:
        cleaned("name", text, at_least=at_least, at_most=at_most)
    except InvalidInput:
        return False
    return True


def refusals() -> list[type[DomainError]]:
    return DomainError.__subclasses__()

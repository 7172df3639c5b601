"""Text as people write it, made fit to be stored."""

import unicodedata

from models.errors import InvalidInput


def cleaned(
    field: str,
    value: str,
    *,
    at_least: int = 1,
    at_most: int,
    multiline: bool = False,
    truncate: bool = False,
) -> str:
    """Trim the text, compose its letters (NFC) and check its length in characters.

    Newlines are kept where `multiline` is set and refused elsewhere. `truncate` is for what a program
    supplies (a user agent): too much is cut instead of refused, control characters are dropped.

    Raises:
        InvalidInput: Too short, too long, or with control characters.
    """
    text = unicodedata.normalize("NFC", value).strip()
    if truncate:
        return "".join(letter for letter in text if _is_plain(letter, multiline=False))[:at_most]
    if not all(_is_plain(letter, multiline) for letter in text):
        raise InvalidInput(field, "Control characters can't be used here.", "제어 문자는 쓸 수 없어요.")
    if not at_least <= len(text) <= at_most:
        raise InvalidInput(
            field,
            f"Write {at_least} to {at_most} characters.",
            f"{at_least}자에서 {at_most}자까지 쓸 수 있어요.",
        )
    return text


def comparable(value: str) -> str:
    """The text as `cleaned` would have stored it, for comparing with what is stored; nothing is refused.

    NUL, which PostgreSQL can't carry, becomes U+FFFD: such a text equals nothing.
    """
    return unicodedata.normalize("NFC", value).strip().replace("\x00", "\ufffd")


def _is_plain(letter: str, multiline: bool) -> bool:
    # Cc: control characters; Cs: halves of a surrogate pair, which UTF-8 can't carry.
    return unicodedata.category(letter) not in {"Cc", "Cs"} or (multiline and letter == "\n")

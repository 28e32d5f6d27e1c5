"""Puts placeholders for what is one person's: `<email>`, `<phone>`, `<card>`, `<iban>`, `<token>`, `<ip>`.

Clean chat is the rule, so one search tells first whether there can be anything at all: what it lets pass
(about one message in twenty) is looked at closely. What looks like a number of a kind is asked whether it
is one, by check digits and by the countries' own numbering plans; ids, dates, prices and scores stay.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator

from stdnum import iban, luhn

from chorus.trainer.curation.phones import phone_spans
from chorus.trainer.curation.secrets import hide_secrets

_SUSPECT = re.compile(
    r"[@0-9A:=_-](?:"  # one set of characters to look for; then, by which it was:
    r"(?<=[^\s<(]@)\w"  # an address, or a password in a link
    # Seven digits, near one another: a number of some kind, but not the id of a message or an emoji.
    r"|(?<=[0-9])(?<![0-9]{2})(?:[ .()/-]{0,3}[0-9]){6}(?![0-9]{10,13}(?![0-9]))"
    r"|(?<=[A-Za-z]{2}[0-9])[0-9]{10}"  # IBAN without spaces
    r"|(?<=[0-9])[A-Za-z_-][\w/+-]{8}"  # a token
    r"|(?<=[0-9])\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"  # IPv4
    r"|(?<=A)(?:KIA|SIA|Iza)"
    r"|(?<=[23][0-9A-Fa-f]{3}:)[0-9A-Fa-f:]"  # IPv6
    r"|(?<=_)[A-Za-z0-9]{16}"
    r"|(?<=-)----BEGIN"
    r"|(?<=[a-zA-Z\"' ][:=])\s{0,3}[\"']?(?!//|[0-9]{15})(?=[^\s\"']{6})[^\s\"'0-9]{0,64}[0-9]"
    r")"  # `password: "…"`
)


_WIDE = re.compile("[０-９＠]")
_NARROW = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
"""Digits, letters and signs as wide as Chinese characters, as plain ones."""


def replace(text: str, counts: Counter[str]) -> str:
    """The text with placeholders. `counts` learns how many there are of each kind."""
    if not text.isascii() and _WIDE.search(text):
        folded = text.translate(_NARROW)
        found = _replaced(folded, counts)
        return text if found == folded else found
    return _replaced(text, counts)


def _replaced(text: str, counts: Counter[str]) -> str:
    if not _SUSPECT.search(text):
        return text
    text, secrets = hide_secrets(text, "<token>")
    counts.update({"token": secrets} if secrets else {})
    for kind, spans in _KINDS:
        pieces: list[str] = []
        done = 0
        for start, end in spans(text):
            pieces += (text[done:start], f"<{kind}>")
            done = end
            counts[kind] += 1
        if pieces:
            text = "".join(pieces) + text[done:]
    return text


_Spans = Iterator[tuple[int, int]]

_EMAIL = re.compile(
    r"(?<![\w.%+-])(?P<who>[\w%+-][\w.%+'-]{0,63})@(?:[\w-]{1,63}\.){1,8}(?P<top>xn--[\w-]{2,59}|[^\W\d_]{2,24})"
    r"(?![\w@])"
)
_FILES = {"png", "jpg", "jpeg", "gif", "webp", "svg", "js", "css"}  # logo@2x.png


def _emails(text: str) -> _Spans:
    for match in _EMAIL.finditer(text):
        if match["who"] != "git" and match["top"] not in _FILES:
            yield match.span()


_IBAN = re.compile(r"(?<![\w-])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,40}", re.IGNORECASE | re.ASCII)


def _ibans(text: str) -> _Spans:
    return _groups(_IBAN, lambda number: iban.is_valid(number, check_country=False), text)


_CARD = re.compile(r"(?<![\w.,/#-])[0-9]{4}(?:[ -]?[0-9]){8,15}(?!\w)")
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15})|5[0-9]\d{14}|2[2-7]\d{14}"  # Visa; Mastercard and Maestro
    r"|3[47]\d{13}|3[068]\d{12}|6\d{15}|35\d{14}"  # American Express; Diners; Discover, UnionPay; JCB
)


def _cards(text: str) -> _Spans:
    return _groups(_CARD, _is_card, text)


def _is_card(number: str) -> bool:
    digits = number.replace(" ", "").replace("-", "")
    return bool(_ISSUED.fullmatch(digits)) and luhn.is_valid(digits)


_GROUP_END = re.compile(r"[A-Za-z0-9](?![A-Za-z0-9])")


def _groups(pattern: re.Pattern[str], is_valid: Callable[[str], bool], text: str) -> _Spans:
    """What the pattern finds, or the most of its first groups, that is valid: what follows may look alike."""
    for match in pattern.finditer(text):
        ends = [group.end() for group in _GROUP_END.finditer(text, match.start(), match.end())]
        for end in reversed(ends):
            if end - match.start() > 12 and is_valid(text[match.start() : end]):
                yield match.start(), end
                break


_ADDRESS = re.compile(
    r"(?<![\w.])(?<!version )(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])"
    # IPv6: what is public starts with 2 or 3.
    r"|(?<![\w:.])[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![\w:])"
)


def _addresses(text: str) -> _Spans:
    for match in _ADDRESS.finditer(text):
        try:
            if ipaddress.ip_address(match[0]).is_global:  # those at home are the same everywhere
                yield match.span()
        except ValueError:
            continue


_KINDS: tuple[tuple[str, Callable[[str], _Spans]], ...] = (
    ("email", _emails),
    ("iban", _ibans),
    ("card", _cards),
    ("ip", _addresses),
    ("phone", phone_spans),
)

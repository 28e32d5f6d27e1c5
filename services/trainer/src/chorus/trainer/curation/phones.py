"""Telephone numbers in a text: any country's with a `+`, and many countries' as they are written at home.

A chat does not say in which country it is. So a number counts that some country's plan knows and that is
grouped as people group it there. Without groups too many ids and scores would be numbers of some country:
there it has to start as only a telephone number does, or the text has to speak of calling.
"""

import re
from collections.abc import Iterator

import phonenumbers

_CANDIDATE = re.compile(
    r"(?<![\w@#/.,$€£=+-])(?<![0-9]:)[+(]{0,2}[0-9][0-9 ().\-/]{5,40}[0-9](?![\w%€$]|[.,:][0-9])"
)
_SHAPES = re.compile(  # American and French, which nothing else looks like
    r"(?<![0-9])(?:(?:\+?1[ .-]?)?(?:\([0-9]{3}\) ?[0-9]{3}[ .-]|[0-9]{3}-[0-9]{3}-|[0-9]{3}\.[0-9]{3}\.)"
    r"[0-9]{4}"
    r"|0[67](?:[ .][0-9]{2}){4})(?![0-9])"
)
_DATE = re.compile(
    r"(?<![0-9./-])(?:[0-9]{4}([./-])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([./-])[0-9]{1,2}\2[0-9]{2,4})(?![0-9./-])"
)
_CALLING = re.compile(
    r"\b(?:tel|t[eé]l[eé]fono?|phone|call|text me|mobile|whatsapp|signal|handy|ruf|nummer|num[eé]ro"
    r"|n[uú]mero|m[oó]vil|appelle|ll[aá]ma|телефон|номер|звони|набери)\b",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[ .][0-9]{3})+")
_GROUP = re.compile("[0-9]+")
_COUNTRIES = {  # by how their numbers start where they are called from home
    "0": ("GB", "DE", "FR", "IT", "NL", "CH", "AT", "AU", "JP"),
    "+": ("US",),  # anybody's
}
_OTHERS = ("US", "ES", "RU", "BR", "IN", "CN")
FAILURES = 500  # of one text; the rest of it is a table of other numbers


def phone_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where they are, in order."""
    failures = 0
    for match in _CANDIDATE.finditer(text):
        if failures == FAILURES:
            return
        spans = [shape.span() for shape in _SHAPES.finditer(match[0])] or _numbers(match[0], text)
        failures += not spans
        for start, end in spans:
            yield match.start() + start, match.start() + end


def _numbers(candidate: str, text: str) -> list[tuple[int, int]]:
    start = candidate.lstrip("(")[0]
    if start != "+" and not _may_be(candidate, start):
        return []
    if start != "+" and not _is_telling(candidate, start) and not _CALLING.search(text, 0, 4096):
        return []
    for country in _COUNTRIES.get(start, _OTHERS):
        found = phonenumbers.PhoneNumberMatcher(
            candidate, country, leniency=phonenumbers.Leniency.STRICT_GROUPING
        )
        if spans := [(match.start, match.end) for match in found]:
            return spans
    return _foreign(candidate) if start == "+" else []


def _may_be(candidate: str, start: str) -> bool:
    """Cheaply, whether it is worth 50 µs for each country: no date, no list of small numbers."""
    groups = _GROUP.findall(candidate)
    if _DATE.search(candidate) or min(map(len, groups[1:]), default=2) == 1:
        return False
    digits = sum(map(len, groups))
    return digits >= 9 if start == "0" else 9 <= digits <= 11 and max(map(len, groups)) > 2


def _is_telling(candidate: str, start: str) -> bool:
    """Whether it is a telephone number even where nobody speaks of one."""
    if candidate.isdigit():  # as they are dialled in Europe, America and Russia; timestamps start with 1
        return (
            start == "0" or (len(candidate) == 10 and start > "1") or (len(candidate) == 11 and start in "78")
        )
    return not _THOUSANDS.fullmatch(candidate)


def _foreign(text: str) -> list[tuple[int, int]]:
    """With a `+` and a country's code it is one, even where its plan does not know the number."""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return []
    reason = phonenumbers.is_possible_number_with_reason(number)
    return [(0, len(text))] if reason == phonenumbers.ValidationResult.IS_POSSIBLE else []

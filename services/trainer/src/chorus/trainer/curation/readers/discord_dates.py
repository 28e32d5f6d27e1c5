"""Dates as .NET's short format writes them in any language: `12/24/2024 1:05 PM`, `24. 12. 2024 13:05`.

All languages write five numbers, in any digits: three of a day, then the hour and the minute. Where the year
stands is plain to see. Whether day or month comes first is not, so all dates of a file are looked at: one
order may make dates that do not exist, or that run to and fro in time. Where two are left, people are asked.
"""

import re
from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from math import isnan, nan
from typing import Literal, NamedTuple

from chorus.common.errors import InvalidInput, in_short

Order = Literal["dmy", "mdy", "ymd"]
ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")

SLACK = 61 * 60.0
"""Seconds that times may run back: in autumn, clocks do."""

_YEARS = range(2015, 2100)  # of Discord
_BUDDHIST = 543  # years that Thailand is ahead

_MONTH_BY_NAME = re.compile(r"\b(\d\d)-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-(\d\d)\b")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_UNSEEN = str.maketrans("\u202f\u00a0\u2009", "   ", "\u200e\u200f\u061c")
"""Narrow spaces before AM and PM become spaces; marks of the direction of writing go."""
_NUMBERS = re.compile(r"\d+")
_LEAST_NUMBERS = 4  # `24 December 2024 13:05` has four
_NOT_MARK = re.compile(r"[\d\s./:,\-]+")
_NOT_SHAPE = re.compile(r"[^0./:,\-]+")

# Before and after noon, as the Unicode CLDR has them; without dots and spaces, in small letters.
# fmt: off
_AM = frozenset({
    "am", "πμ", "pd", "ص", "قظ", "pg", "上午", "午前", "오전", "gh", "ጥዋት", "de", "dop", "öö", "fm", "ap",
    "дп", "sa", "पूर्वाह्न",
})
_PM = frozenset({
    "pm", "μμ", "md", "م", "بظ", "ptg", "下午", "午後", "오후", "gd", "ከሰዓት", "du", "odp", "ös", "em", "ip",
    "пп", "ch", "अपराह्न",
})
# fmt: on
_DATE_WORDS = str.maketrans("", "", "年月日년월일")

_MONTH_FIRST = frozenset({"en", "en-us", "en-ph", "es-pr", "es-pa", "fil", "fil-ph", "mt-mt", "so-so"})
_YEAR_FIRST = frozenset(
    {"ja", "ko", "zh", "hu", "sv", "lt", "mn", "eu", "af", "fa", "en-ca", "fr-ca", "en-za"}
)
# fmt: off
_DAY_FIRST = frozenset({
    "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "fi", "fr",
    "ga", "gl", "gu", "he", "hi", "hr", "hy", "id", "is", "it", "ka", "kk", "kn", "kok", "lb", "lv", "mk",
    "ml", "mr", "ms", "mt", "nb", "ne", "nl", "nn", "no", "or", "pa", "pl", "pt", "ro", "ru", "sk", "sl",
    "so", "sq", "sr", "sw", "ta", "te", "th", "tr", "uk", "ur", "uz", "vi",
})
# fmt: on
"""Languages, in whose countries the day comes first but for those above."""


class Stamp(NamedTuple):
    """A date that was read, in all orders that its numbers could have."""

    times: tuple[float, float, float]
    """Seconds since 1970 for each of `ORDERS`, as if it were UTC, for no zone is written. Not a number where
    that order makes no date."""
    shape: str
    """Its dots, colons and strokes: one file has one shape."""
    mark: str
    """Its letters: AM or PM, mostly."""


def parse(text: str) -> Stamp | None:
    """What stands between the brackets of a header, if it is a date in any order."""
    if not text.isascii():
        text = text.translate(_UNSEEN)
    text = _MONTH_BY_NAME.sub(_with_number, text)
    numbers = [int(number) for number in _NUMBERS.findall(text)]
    if len(numbers) != 5 or numbers[3] > 23 or numbers[4] > 59:
        return None
    first, second, third, hour, minute = numbers
    shape, mark = _style(tuple(_NUMBERS.split(text)))
    if mark in _PM and hour < 12:
        hour += 12
    elif mark in _AM and hour == 12:
        hour = 0
    within = hour * 3600 + minute * 60
    days = _days(first, second, third)
    times = (days[0] + within, days[1] + within, days[2] + within)
    return None if all(map(isnan, times)) else Stamp(times, shape, mark)


def may_be(text: str) -> bool:
    """Whether this has as many numbers as a day and a time, though nobody may be able to read it."""
    return len(_NUMBERS.findall(text)) >= _LEAST_NUMBERS


@lru_cache(maxsize=4096)
def _days(*numbers: int) -> tuple[float, ...]:
    """When this day began, in each order; a chat has many messages a day."""
    return tuple(_day(**dict(zip(order, numbers, strict=True))) for order in ORDERS)


def _day(d: int, m: int, y: int) -> float:
    year = y + 2000 if y < 100 else y
    if year - _BUDDHIST in _YEARS:
        year -= _BUDDHIST
    try:
        return datetime(year, m, d, tzinfo=UTC).timestamp() if year in _YEARS else nan
    except (ValueError, OverflowError):
        return nan


@lru_cache(maxsize=256)
def _style(between: tuple[str, ...]) -> tuple[str, str]:
    """Shape and mark, by what stands between a date's numbers: a file has one or two of these."""
    text = "0".join(between)
    mark = _NOT_MARK.sub("", text).translate(_DATE_WORDS).casefold()
    shape = _NOT_SHAPE.sub("", text)
    return f"{shape} 12" if mark else shape, mark


def unknown_dates(name: str) -> InvalidInput:
    """What to tell of dates in a calendar, or with a word for the afternoon, that nobody here knows."""
    return InvalidInput(
        f"The dates in {name} cannot be read. Export it again with `--locale en-US`, or as JSON.",
        code="unknown_dates",
        param="file",
    )


def check_marks(marks: set[str], name: str) -> None:
    """Raises `InvalidInput` if it is unclear which of a file's words mean the afternoon."""
    if len(marks) > 1 and not marks <= _AM | _PM:  # the same word everywhere means nothing
        raise unknown_dates(name)


def order_of(times: Mapping[Order, "array[float]"], locale: str | None, name: str) -> Order:
    """The one order that makes sense of the dates. Raises `InvalidInput` for none, and for more than one."""
    wanted = _order_in(locale) if locale else None
    senseless: dict[Order, int] = {order: sum(map(isnan, times[order])) for order in ORDERS}
    fewest = min(senseless.values())
    possible: list[Order] = [order for order in ORDERS if senseless[order] == fewest]
    if all(times[order] == times[possible[0]] for order in possible):
        return possible[0]
    steady: list[Order] = [order for order in possible if is_steady(times[order])]
    if len(steady) == 1:
        return steady[0]
    if wanted in possible:
        return wanted
    raise InvalidInput(
        f"The dates in {name} can be read day first or month first: say `locale=en-US` for 12/24/2024, "
        "`locale=en-GB` for 24/12/2024.",
        code="ambiguous_dates",
        param="locale",
    )


def is_steady(times: "array[float]") -> bool:
    """Whether they run one way only, from old to new or from new to old."""
    steps = [later - earlier for earlier, later in pairwise(times)]
    return not steps or min(steps) >= -SLACK or max(steps) <= SLACK


def _order_in(locale: str) -> Order:
    """What comes first there. Raises `InvalidInput` for a language that is unknown: for a country alone."""
    name = locale.lower().replace("_", "-")
    language = name.split("-")[0]
    if name in _MONTH_FIRST:
        return "mdy"
    if name in _YEAR_FIRST or language in _YEAR_FIRST:
        return "ymd"
    if language in _DAY_FIRST:
        return "dmy"
    raise InvalidInput(
        f'"{in_short(locale)}" is no known `locale`. Give a language and a country: `en-US` (12/24/2024), '
        "`en-GB`, `de-DE`, `fr-FR`, … (24/12/2024), `sv-SE`, `ja-JP`, … (2024-12-24).",
        code="unknown_locale",
        param="locale",
    )


def _with_number(found: re.Match[str]) -> str:
    """`24-Dec-24`, as the exporter wrote until 2023, is as good as `2024-12-24`."""
    return f"20{found[3]}-{_MONTHS.index(found[2]) // 3 + 1}-{found[1]}"

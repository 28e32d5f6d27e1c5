"""Names of languages, as people and engines write them: `ru`, `ru-RU`, `en_us`. Pure."""

import difflib
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from chorus.common.contracts.speech import AUTO
from chorus.common.errors import InvalidInput, in_short

ANY = "*"
"""Among an engine's languages: it takes every one, and may refuse it later. (`AUTO`: it finds out.)"""

MOST_NAMED = 6
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*")


def tag(written: str) -> str:
    """The name in its usual form (`ru-RU`), or `AUTO`. Raises `InvalidInput` for what is no name."""
    name = _plain(written)
    if not _TAG.fullmatch(name) and name != AUTO:
        raise InvalidInput(
            f"{in_short(written)!r} is no name of a language. Write it like `en-US`, `ru` or `auto`.",
            code="unknown_language",
            param="language",
        )
    family, *rest = name.split("-")
    return "-".join([family, *(part.upper() if len(part) == 2 else part for part in rest)])


def chosen(wanted: str, own: str, known: Sequence[str]) -> str | None:
    """What an engine that knows these languages should listen for; None where it cannot.

    For `AUTO` that is `AUTO` again, or where the engine cannot find out, the service's `own` language, or the
    first one it knows.
    """
    if wanted == AUTO:
        return AUTO if AUTO in known else fitting(own, known) or known[0]
    return fitting(wanted, known)


def fitting(wanted: str, known: Sequence[str]) -> str | None:
    """The language as the engine calls it, or one that will do; None where there is none.

    That is one that it is a kind of (`de` for `de-AT`), or another of its family (`en-US` for `en-GB`), the
    first of those that are known; or the wanted one where any will do.
    """
    by_lower = {name.lower(): name for name in known if name not in (AUTO, ANY)}
    name = _plain(wanted)
    wider = [*accumulate(name.split("-"), "{}-{}".format)][::-1]
    family = [one for one in by_lower if one.split("-")[0] == wider[-1]]
    found = next((by_lower[one] for one in [*wider, *family] if one in by_lower), None)
    return found or (wanted if ANY in known else None)


def unknown_language(wanted: str, known: Iterable[str], *, does: str, setting: str) -> InvalidInput:
    """The error for a language that nobody knows, with the nearest of those that there are."""
    names = sorted({name.lower() for name in known} - {AUTO, ANY})
    near = difflib.get_close_matches(_plain(wanted), names, n=MOST_NAMED) or names[:MOST_NAMED]
    return InvalidInput(
        f"Nothing here {does} the language {in_short(wanted)!r}. Of {len(names)} there are, try: "
        f"{', '.join(near)}. Or have the operator add an engine for it ({setting}).",
        code="unknown_language",
        param="language",
    )


def _plain(written: str) -> str:
    return written.strip().lower().replace("_", "-")

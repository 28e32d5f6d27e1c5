"""Names of languages, as people and engines write them: `ru`, `ru-RU`, `en_us`. Pure."""

import re
from collections.abc import Sequence

from chorus.common.errors import InvalidInput, in_short

AUTO = "auto"
"""Of a request: whatever is spoken. Among an engine's languages: it finds out by itself."""
ANY = "*"
"""Among an engine's languages: it takes every one, and may refuse it later."""

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*")


def tag(written: str) -> str:
    """The name in its usual form (`ru-RU`), or `AUTO`. Raises `InvalidInput` for what is no name."""
    name = written.strip().lower().replace("_", "-")
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
        return AUTO if AUTO in known else _fitting(own, known) or known[0]
    return _fitting(wanted, known)


def _fitting(wanted: str, known: Sequence[str]) -> str | None:
    """The very one, or another of its family (`en-US` for `en-GB`), or the wanted one where any will do."""
    named = [name for name in known if name not in (AUTO, ANY)]
    same = [name for name in named if name.lower() == wanted.lower()]
    family = [name for name in named if name.lower().split("-")[0] == wanted.lower().split("-")[0]]
    return next(iter([*same, *family, *([wanted] if ANY in known else [])]), None)

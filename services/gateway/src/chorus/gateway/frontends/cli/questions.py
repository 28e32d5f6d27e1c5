"""What `chorus init` asks, and how an answer is had: a flag, a default, or somebody who types."""

import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.prompt import Confirm, Prompt

from chorus.common.errors import Misconfigured

Check = Callable[[str], str]
"""Says what is good about an answer, perhaps nothing; raises `Misconfigured` where it will not do."""


def anything(_: str) -> str:
    """`Check` of what cannot be wrong."""
    return ""


@dataclass(frozen=True)
class Question:
    """One thing to know."""

    flag: str
    """`base-model`, where `--base-model` answers it."""
    text: str
    default: str
    setting: str = ""
    """`CHORUS_…`; nothing is kept of an answer without one."""
    check: Check = anything
    told: str = ""
    """What to know before one answers."""
    choices: tuple[str, ...] = ()
    secret: bool = False


class Asks(Protocol):
    """Whoever sits there."""

    def say(self, text: str) -> None:
        """Show a line or several."""
        ...

    def ask(self, question: Question, default: str) -> str:
        """An answer; a secret is not shown while it is typed, nor is its default."""
        ...

    def confirm(self, text: str) -> bool:
        """Yes or no."""
        ...


class Terminal:
    """`Asks` in this terminal."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False)

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(text, markup=False)

    def ask(self, question: Question, default: str) -> str:
        """Raises `Misconfigured` at the end of the input."""
        kept = " (Enter keeps the one there is)" if question.secret and default else ""
        with _ended():
            return Prompt.ask(
                f"{question.text}{kept}",
                console=self._console,
                password=question.secret and sys.stdin.isatty(),
                choices=list(question.choices) or None,
                default=default,
                show_default=bool(default) and not question.secret,
            ).strip()

    def confirm(self, text: str) -> bool:
        """Yes, where nothing is typed."""
        with _ended():
            return Confirm.ask(text, console=self._console, default=True)


@contextmanager
def _ended() -> Generator[None]:
    """The input's end, in words."""
    try:
        yield
    except EOFError:
        raise Misconfigured("The input has ended; nothing was written. `--yes` takes all defaults.") from None


class Answers:
    """Asks one question after another. `kept` is what becomes of them: settings with their values."""

    def __init__(
        self, asks: Asks, given: Mapping[str, str | None], before: Mapping[str, str], *, yes: bool
    ) -> None:
        self._asks = asks
        self._given = given
        self._before = before
        self._yes = yes
        self.kept: dict[str, str] = {}

    def to(self, question: Question) -> str:
        """An answer that will do: the flag's, else what is set already or the default, else what is typed.

        Raises `Misconfigured` where nobody is asked and it will not do.
        """
        given = self._given.get(question.flag)
        default = self._before.get(question.setting) or os.environ.get(question.setting) or question.default
        asked = given is None and not self._yes
        if asked and question.told:
            self._asks.say(f"\n{question.told}")
        while True:
            value = self._asks.ask(question, default) if asked else default if given is None else given
            try:
                good = question.check(value)
            except Misconfigured as error:
                if not asked:
                    raise
                self._asks.say(f"✗ {error.message}")
                continue
            break
        if good:
            self._asks.say(f"✓ {question.text}: {good}")
        if question.setting and (value or question.setting in self._before):
            self.kept[question.setting] = value
        return value

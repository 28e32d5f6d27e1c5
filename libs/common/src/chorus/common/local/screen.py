"""What a person sees of the stack: each part as it becomes ready, one table, and the end.

It is written to standard error, so that standard output holds the conversation and nothing else.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


class Screen:
    """A terminal, or a file that is read later: then without spinners and colours."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self.is_stopping = False
        """Whether the end has begun."""

    @contextmanager
    def starting(self) -> Generator[None]:
        """Show the steps that run meanwhile."""
        self._console.print("[bold]Chorus[/] is starting.")
        spinners = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        with spinners:
            self._progress = spinners
            yield
        self._progress = None

    @contextmanager
    def step(self, name: str) -> Generator[None]:
        """One part that comes up; a line when it is ready, nothing when it fails (the error says it)."""
        started = time.monotonic()
        task = self._progress.add_task(name) if self._progress else None
        try:
            yield
            self._console.print(f"  [green]ready[/]  {name:<10} {time.monotonic() - started:5.1f} s")
        finally:
            if self._progress and task is not None:
                self._progress.remove_task(task)

    def table(self, rows: Sequence[tuple[str, str, str]], notes: Sequence[str]) -> None:
        """What runs where, and what else to know."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("what", "where", "log"):
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self._console.print()
        self._console.print(table)
        for note in notes:
            self._console.print(note, soft_wrap=True)
        self._console.print()

    def notice(self, message: str) -> None:
        """Say what happens to a part while the console is in use: on a line of its own."""
        self._console.print(f"\r[yellow]![/] {escape(message)}", soft_wrap=True)

    def stopping(self) -> None:
        """Say that the end has begun: it takes a few seconds."""
        self.is_stopping = True
        self._console.print("\n[bold]Chorus[/] is stopping.")

    def stopped(self) -> None:
        """Say that nothing runs any more."""
        self._console.print("Everything is stopped.")

    def failed(self, message: str) -> None:
        """Say what went wrong."""
        self._console.print(message, style="red", markup=False)

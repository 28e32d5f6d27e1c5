"""What a benchmark reports: figures for machines, a table for people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from rich.console import Console
from rich.table import Table

PEOPLE = Console(stderr=True)


@dataclass
class Report:
    """The figures of one benchmark, gathered while it runs."""

    title: str
    figures: dict[str, float] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, key: str, value: float, told: str, peer: str = "") -> None:
        """One figure, how it reads, and what its peer did."""
        self.figures[key] = round(value, 3)
        self.rows.append((key, told, peer))
        PEOPLE.print(f"[dim]{key}  {told}  {peer}[/dim]")  # at once: the whole takes minutes

    def show(self) -> None:
        """The table, on standard error."""
        table = Table("figure", "measured", "beside", title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        PEOPLE.print(table)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def paired_ratio(ours: Sequence[float], peers: Sequence[float]) -> float:
    """Median of the ratios of rounds that ran right after each other: a noisy machine hits both alike."""
    return median(mine / peer for mine, peer in zip(ours, peers, strict=True))

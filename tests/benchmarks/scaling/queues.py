"""Stations with a queue each: whoever comes first is served first, by as many as there are.

Deeds come at random (Poisson) and take random times (exponential), which is the harder case: what people do
comes in bursts, and replies and trainings differ in length.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

Path = Sequence[tuple[str, float]]
"""Stations in order, with the mean seconds of service at each."""

WARM_UP = 0.1  # of all deeds: not counted, for queues are empty at first


@dataclass
class Station:
    """Servers that share one queue."""

    servers: int
    busy: int = 0
    queue: deque["Deed"] = field(default_factory=deque["Deed"])


@dataclass
class Deed:
    """One thing that somebody asked for, on its way."""

    kind: str
    path: Path
    counted: bool
    step: int = -1
    since: float = 0.0
    """When it came to where it is, in seconds."""
    waited: float = 0.0


def simulate(
    rates: Mapping[str, float], paths: Mapping[str, Path], servers: Mapping[str, int], deeds: int, seed: int
) -> dict[str, list[float]]:
    """Seconds that each deed waited in all its queues, by kind. `rates` are deeds a second of each."""
    random = Random(seed)
    simulation = Simulation(random, servers)
    clock, total = 0.0, sum(rates.values())
    for number, kind in enumerate(random.choices(list(rates), list(rates.values()), k=deeds)):
        clock += random.expovariate(total)
        simulation.plan(clock, Deed(kind, paths[kind], counted=number >= WARM_UP * deeds))
    waits: dict[str, list[float]] = {kind: [] for kind in rates}
    for deed in simulation.finished():
        if deed.counted:
            waits[deed.kind].append(deed.waited)
    return waits


class Simulation:
    """The events to come, the next one first."""

    def __init__(self, random: Random, servers: Mapping[str, int]) -> None:
        self._random = random
        self._stations = {name: Station(number) for name, number in servers.items()}
        self._events: list[tuple[float, int, Deed]] = []
        self._order = count()

    def plan(self, at: float, deed: Deed) -> None:
        """It is done with its step at this time."""
        heapq.heappush(self._events, (at, next(self._order), deed))

    def finished(self) -> Iterator[Deed]:
        """Every deed, when it has been everywhere."""
        while self._events:
            now, _, deed = heapq.heappop(self._events)
            if deed.step >= 0:
                self._leave(self._station(deed), now)
            deed.step += 1
            if deed.step == len(deed.path):
                yield deed
            else:
                self._arrive(deed, now)

    def _arrive(self, deed: Deed, now: float) -> None:
        station = self._station(deed)
        deed.since = now
        if station.busy == station.servers:
            station.queue.append(deed)
        else:
            station.busy += 1
            self._serve(deed, now)

    def _leave(self, station: Station, now: float) -> None:
        if station.queue:
            self._serve(station.queue.popleft(), now)
        else:
            station.busy -= 1

    def _serve(self, deed: Deed, now: float) -> None:
        deed.waited += now - deed.since
        self.plan(now + self._random.expovariate(1 / deed.path[deed.step][1]), deed)

    def _station(self, deed: Deed) -> Station:
        return self._stations[deed.path[deed.step][0]]

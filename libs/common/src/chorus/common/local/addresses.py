"""Where the parts of a stack listen: on loopback, at free ports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chorus.common.errors import Misconfigured
from chorus.common.local.servers import WEED_PORTS, free_ports, is_free


@dataclass(frozen=True)
class Addresses:
    """Where everything listens. Every address is on loopback."""

    nats: int
    nats_monitor: int
    weed: tuple[int, ...]
    health: Mapping[str, int]

    @classmethod
    def chosen(cls, services: Sequence[str], nats_port: int) -> "Addresses":
        """Free ports for all; `nats_port` is the one that was asked for, or 0."""
        if nats_port and not is_free(nats_port):
            raise Misconfigured(
                f"CHORUS_NATS_PORT: {nats_port} is taken by another program. "
                "Choose another port, or none: then any free one is taken."
            )
        names = (*services, "gateway")
        ports = free_ports(2 + len(WEED_PORTS) + len(names))
        weed_end = 2 + len(WEED_PORTS)
        return cls(
            nats=nats_port or ports[0],
            nats_monitor=ports[1],
            weed=tuple(ports[2:weed_end]),
            health=dict(zip(names, ports[weed_end:], strict=True)),
        )

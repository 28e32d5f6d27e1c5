"""A few values that are at hand for a while."""

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Recent(Generic[K, T]):
    """Values by key, at most so many: what was put or asked for longest ago is forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, T] = OrderedDict()

    def put(self, key: K, value: T) -> None:
        """Keep it."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def get(self, key: K) -> T | None:
        """It, if it is kept."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

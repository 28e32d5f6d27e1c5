"""A few values by message id."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Values by message id, at most so many: what was put or asked for longest ago is forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[int, T] = OrderedDict()

    def put(self, key: int, value: T) -> None:
        """Keep it."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def get(self, key: int) -> T | None:
        """It, if it is kept."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

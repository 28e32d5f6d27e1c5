"""Who is in a dataset version: people.json."""

from pydantic import BaseModel, NonNegativeInt, TypeAdapter

from chorus.common.contracts.consent import BY_NAME
from chorus.common.contracts.datasets import Dataset
from chorus.common.objects import ObjectStore
from chorus.trainer.datasets.consent import is_of


class Person(BaseModel):
    """One author: the names they had, and how many messages are theirs."""

    names: list[str] = []
    messages: NonNegativeInt = 0


PEOPLE: TypeAdapter[dict[str, Person]] = TypeAdapter(dict[str, Person])
"""By author's id."""


async def people_in(store: ObjectStore, dataset: Dataset) -> dict[str, Person]:
    """Everybody whose words are in it."""
    return PEOPLE.validate_json(await store.get(dataset.people))


def names_of(people: dict[str, Person], person: str) -> set[str]:
    """The names, case-folded, that go with a person's id, but for those that others have as well.

    A name can be taken on by anybody; whoever takes another's must not delete the other's words by it.
    """
    if person.startswith(BY_NAME) or person not in people:
        return set()
    others = {
        name.casefold()
        for id_, other in people.items()
        if id_ != person and not id_.startswith(BY_NAME)
        for name in other.names
    }
    return {name.casefold() for name in people[person].names} - others


def has(people: dict[str, Person], person: str, names: set[str]) -> bool:
    """Whether any of the words are this person's, by id or by one of their names."""
    return any(is_of(author, person, names) for author in people)

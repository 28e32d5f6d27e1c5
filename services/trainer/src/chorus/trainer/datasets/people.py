"""Who is in a dataset version: people.json."""

from chorus.common.contracts.consent import BY_NAME
from chorus.common.contracts.datasets import Dataset
from chorus.common.objects import ObjectStore
from chorus.trainer.curation.stored import Person, read_people
from chorus.trainer.datasets.consent import is_of


async def people_in(store: ObjectStore, dataset: Dataset) -> dict[str, Person]:
    """Everybody whose words are in it."""
    return read_people(await store.get(dataset.people))


def accounts_of(people: dict[str, Person], person: str) -> set[str]:
    """The account names that go with a person's id, case-folded: nobody can choose those as they like."""
    found = people.get(person)
    return {name.casefold() for name in found.accounts} if found and not person.startswith(BY_NAME) else set()


def called(people: dict[str, Person], name: str) -> set[str]:
    """Ids of the people who are called so, by their account or by themselves."""
    wanted = name.casefold()
    return {
        author
        for author, person in people.items()
        if not author.startswith(BY_NAME)
        and wanted in (known.casefold() for known in (*person.names, *person.accounts))
    }


def has(people: dict[str, Person], person: str, names: set[str]) -> bool:
    """Whether any of the words are this person's, by id or by one of their names."""
    return any(is_of(author, person, names) for author in people)

"""A dataset's card in plain words: what was read, what is kept, who speaks, and by what right."""

from collections.abc import Iterable

from chorus.common.contracts.consent import Mode
from chorus.common.contracts.datasets import BuildOptions, Dataset
from chorus.gateway.commands.histogram import picture
from chorus.gateway.commands.phrases import in_a_row, minute
from chorus.gateway.commands.replies import Card

MODES: dict[Mode, str] = {
    "off": "the operator learns from nothing that comes through Discord's API",
    "submitted": "the operator learns from what people hand over",
    "permitted": "the operator has Discord's permission",
}
WAYS = {"uploaded": "uploaded as files", "submitted": "typed on purpose", "mined": "read from channels"}


def card_of(dataset: Dataset) -> Card:
    """All that is known of a dataset, but for its words."""
    rows = [row for row in (*_counted(dataset), *_people(dataset), *_origin(dataset)) if row[1]]
    rows += [("note", warning) for warning in dataset.card.warnings]
    footer = f"See some of it: !preview {dataset.id}. Train on it: !train data={dataset.id}"
    return Card(dataset.id, ("", ""), rows, footer, picture(dataset.card.lengths, dataset.name))


def _counted(dataset: Dataset) -> Iterable[tuple[str, str]]:
    card = dataset.card
    yield "format", card.format
    yield "read", f"{card.read:,}, of which {card.kept:,} are kept"
    yield "dropped", _tally(card.dropped)
    aside = f", {card.validation:,} of them kept aside to test on" if card.validation else ""
    yield "examples", f"{card.examples:,}{aside}"
    if not card.positive:
        yield "learned as", "words not to be said"
    elif card.positive < card.examples:
        yield (
            "learned as",
            f"{card.positive:,} replies to give, {card.examples - card.positive:,} not to give",
        )
    yield "conversations", f"{card.conversations:,}" if card.conversations else ""
    yield "tokens", f"{card.tokens:,}"
    yield "made anonymous", _tally(card.replaced)
    yield "bound to a day or place", f"{card.situational:,} replies" if card.situational else ""


def _people(dataset: Dataset) -> Iterable[tuple[str, str]]:
    card = dataset.card
    yield "people", f"{card.people:,}" if card.people else ""
    yield "speakers", in_a_row([f"{speaker.name} ({speaker.messages:,})" for speaker in card.speakers])
    if card.first_at and card.last_at:
        yield "from", f"{card.first_at:%Y-%m-%d} to {card.last_at:%Y-%m-%d}"


def _origin(dataset: Dataset) -> Iterable[tuple[str, str]]:
    basis = dataset.basis
    yield "files", in_a_row([source.filename for source in dataset.sources])
    yield "came in", f"{WAYS[basis.way]}, by {dataset.contributor}"
    yield "by what right", f"{MODES[basis.mode]}{f' ({basis.reference})' if basis.reference else ''}"
    yield "options", ", ".join(_chosen(dataset.options)) or "as they are by default"
    yield "made", minute(dataset.created_at)


def _tally(counts: dict[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} {what}" for what, count in most_first)


def _chosen(options: BuildOptions) -> Iterable[str]:
    defaults = BuildOptions()
    for name in BuildOptions.model_fields:
        if (value := getattr(options, name)) != getattr(defaults, name):
            yield f"{name}={value}"

"""`!mimic @user`: a model that answers as one person of the server would.

Only where that person has opted in, by themselves, and the operator has Discord's permission to train on
messages. Their messages are read as `!mine` reads them, with what others who opted in have said around them,
and a model is trained to give their replies. The dataset says whose they are (`options.target`); whatever
learns from it, or goes on from such a model, is labelled as AI wherever it answers.
"""

from pydantic import Field

from chorus.common.contracts.consent import ConsentRecord, is_id
from chorus.common.contracts.names import Name, slug
from chorus.common.errors import Conflict, InvalidInput, NotFound, NotPermitted, in_short
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.mining import ONLY_THERE, Learning, Wanted, learned_from
from chorus.gateway.commands.people import mentioned_id
from chorus.gateway.commands.replies import Progress, Reply
from chorus.gateway.commands.sources import build_options
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.commands.trust import basis

MIMIC = "mimic-"  # what the names of such models and datasets begin with
LONGEST = 63  # characters of a name
THE_OPERATOR = (
    "the operator of this bot has not said that Discord permits to train on messages (they set "
    "CHORUS_TRAIN_ON_MESSAGES=permitted, and CHORUS_TRAIN_PERMISSION to the reference)"
)
THE_PERSON = "they have not opted in (they, and nobody else for them, write `!privacy optin` here)"


class Mimic(Learning):
    """What `!mimic` takes."""

    person: str = Field(description="who is to be mimicked: a mention, or an id")
    name: Name | None = Field(
        default=None, description=f"the model's name after `{MIMIC}`; otherwise the person's"
    )


async def mimic(ctx: Context, asked: Mimic) -> Reply:
    """Read what the person has said, and train a model on their replies."""
    if ctx.history is None:
        raise NotFound(ONLY_THERE, code="no_history")
    person = _person(asked)
    record = await ctx.chorus.privacy.record(ctx.guild, person)
    _refuse_unasked(ctx, person, record)
    name = _name(asked, person, record)
    await _refuse_anothers(ctx, name, person)
    options = (await build_options(ctx, asked)).model_copy(update={"target": person})
    wanted = Wanted(name, options, await basis(ctx, "mined"))
    return Progress("", ended_in_words(learned_from(ctx, asked, ctx.history, wanted, name)))


def _person(asked: Mimic) -> str:
    """Their id."""
    if asked.target is not None:
        raise InvalidInput(
            "`target=` is for datasets: here the person who is named is learned.",
            code="two_targets",
            param="target",
        )
    person = mentioned_id(asked.person)
    if not is_id(person):
        raise InvalidInput(
            f"Who is {in_short(person)!r}? Mention the person, or give their id: `!mimic @name`.",
            code="unknown_person",
            param="person",
        )
    return person


def _refuse_unasked(ctx: Context, person: str, record: ConsentRecord | None) -> None:
    """Raises `NotPermitted`, in one sentence, with everything that is missing."""
    missing: list[str] = []
    if ctx.trust.mode != "permitted":
        missing.append(THE_OPERATOR)
    if record is None or record.state != "in" or record.said_by != person:
        missing.append(THE_PERSON)
    if missing:
        raise NotPermitted(
            f"<@{person}> cannot be mimicked: {', and '.join(missing)}.",
            code="mimic_not_permitted",
            param="person",
        )


def _name(asked: Mimic, person: str, record: ConsentRecord | None) -> str:
    """The model's and the dataset's: after the person's account, as they had it when they opted in."""
    account = next(iter(record.names), person) if record else person
    return f"{MIMIC}{asked.name or slug(account)}"[:LONGEST].rstrip("-")


async def _refuse_anothers(ctx: Context, name: str, person: str) -> None:
    """Raises `Conflict` where the name is somebody else's: two accounts may be nearly called the same."""
    listing = await ctx.chorus.datasets.list(ctx.guild)
    if any(made.name == name and made.options.target != person for made in listing.datasets):
        raise Conflict(
            f"{name} is somebody else already. Give another name: `!mimic <@{person}> name=…`.",
            code="mimics_another",
            param="name",
        )

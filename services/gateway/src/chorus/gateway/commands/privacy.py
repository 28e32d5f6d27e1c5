"""`!privacy`: everybody says what may be learned from them, sees what is kept, and has it deleted."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from chorus.common.contracts.consent import ConsentRecord, Forgotten, is_id
from chorus.common.contracts.feedback import REPLIES_KEPT
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput, NotPermitted
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.people import mentioned_id
from chorus.gateway.commands.phrases import counted, in_a_row, minute
from chorus.gateway.commands.replies import File, Reply, Text
from chorus.gateway.commands.rights import may, require, require_own, settings_of

NAMES = 16  # by which one person is matched, at most
LONGEST_NAME = 100  # characters
TRAIN_ANEW = (
    "Nothing is trained again by itself: `!train data=NAME` makes a new version without these words, which "
    "can answer in their place."
)

PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME)]


class PrivacyParameters(Parameters):
    """What `!privacy` takes."""

    wish: Literal["optin", "optout", "export", "delete"] | None = Field(
        default=None, description="`optin`, `optout`, `export` or `delete`"
    )
    sure: bool = Field(default=False, description="`True`, to delete once you know what would go")
    to: str | None = Field(default=None, description="name of the exported ZIP")
    person: PersonName | None = Field(
        default=None, description="for admins: whom it is about, by id or by name"
    )
    names: str | None = Field(
        default=None, description="for admins: what exports call them, parted by commas"
    )
    days: int | None = Field(
        default=None,
        ge=0,
        le=30,
        description="for admins: how long models answer on that learned from what was deleted, 0 to 30",
    )


@dataclass(frozen=True)
class Person:
    """Whom it is about, and what sources without ids call them."""

    id: str
    names: list[str]
    is_oneself: bool


async def privacy(ctx: Context, asked: PrivacyParameters) -> Reply:
    """Do what a person wants with their words."""
    if asked.days is not None:
        return await _deadline_set(ctx, asked, asked.days)
    person = await _person(ctx, asked)
    match asked.wish:
        case None:
            return await _explained(ctx, person)
        case "optin" | "optout":
            return await _opted(ctx, person, "in" if asked.wish == "optin" else "out")
        case "export":
            return await _exported(ctx, person, asked.to)
        case "delete":
            return await _deleted(ctx, person) if asked.sure else await _warned(ctx, person, asked)


async def _explained(ctx: Context, person: Person) -> Reply:
    record = await ctx.chorus.privacy.record(ctx.guild, person.id)
    listing = await ctx.chorus.datasets.list(ctx.guild)
    names = {dataset.name for dataset in listing.datasets}
    theirs = sorted({dataset.name for dataset in listing.datasets if dataset.contributor == person.id})
    until, sets_it = await _deadline(ctx), await may(ctx, "manage")
    by_them = f"handed over by {'you' if person.is_oneself else person.id}: {in_a_row(theirs) or 'none'}"
    return Text(
        f"{_state(record, person)}\n"
        f"Kept here: {len(names)} datasets ({by_them}), with the files "
        f"they were made of, and the models that learned them. {await _questions(ctx)} Of a !test, what went "
        "wrong is kept for 30 days (!errors). So are !examples, without an end.\n"
        "!privacy export: get all that is kept of your words.\n"
        "!privacy optout: nothing of yours is in any later dataset. !privacy optin takes that back.\n"
        "!privacy delete: have your words deleted from files, datasets and archives. Models that learned "
        f"them stop answering {until}."
        + ("\n!privacy days=3: another deadline for that, from 0 to 30 days." if sets_it else "")
    )


async def _questions(ctx: Context) -> str:
    days = (await settings_of(ctx)).keep_replies_days
    kept = f"kept for {counted(days, 'day')}" if days else "not kept"
    said = f"what people say of answers (!feedback, !correct) for {counted(REPLIES_KEPT.days, 'day')}"
    return f"Questions to a model and its answers are {kept}, {said}."


async def _deadline_set(ctx: Context, asked: PrivacyParameters, days: int) -> Reply:
    await require(ctx, "manage", "`days=`")
    if asked.model_fields_set != {"days"}:
        raise InvalidInput("`days=` stands alone: `!privacy days=3`.", code="days_alone", param="days")
    await ctx.chorus.guilds.set_deadline(ctx.guild, days)
    return Text(
        "From the next deletion on, models that learned what is deleted stop answering "
        f"{await _deadline(ctx)}."
    )


async def _deadline(ctx: Context) -> str:
    within = (await ctx.chorus.guilds.settings(ctx.guild)).forget_within
    return f"after {counted(within.days, 'day')}" if within else "at once"


async def _opted(ctx: Context, person: Person, state: Literal["in", "out"]) -> Reply:
    if state == "in" and not person.is_oneself:
        raise NotPermitted(
            "Nobody can opt in for somebody else: they say !privacy optin themselves.", code="only_oneself"
        )
    record = await ctx.chorus.privacy.opt(ctx.guild, person.id, state, names=person.names, said_by=ctx.user)
    told = _state(record, person)
    if state == "out":
        told += (
            " Datasets that are there already stay as they are: !privacy delete takes your words out of them."
        )
    return Text(told)


async def _exported(ctx: Context, person: Person, to: str | None) -> Reply:
    exported = await ctx.chorus.privacy.export(ctx.guild, person.id, names=person.names)
    whose = "your words" if person.is_oneself else f"the words of {person.id}"
    return File(
        to or "my-words.zip",
        ctx.chorus.objects.download(exported.archive),
        f"All that is kept of {whose}: {exported.messages:,} messages.",
        private=True,
    )


async def _warned(ctx: Context, person: Person, asked: PrivacyParameters) -> Reply:
    whose = "your words" if person.is_oneself else f"the words of {person.id}"
    called = f" (also as {', '.join(person.names)})" if person.names else ""
    again = " ".join(
        f" {name}={_quoted(value)}"
        for name, value in (("person", asked.person), ("names", asked.names))
        if value
    )
    return Text(
        f"This deletes {whose}{called} from uploaded files, datasets, archives, tests, questions, "
        "feedback, examples, personas and recordings that are kept. Datasets are built anew without them; "
        f"models that learned them stop answering {await _deadline(ctx)}. {TRAIN_ANEW} "
        "There is no way back. "
        f"To do it: !privacy delete{again} sure=True"
    )


async def _deleted(ctx: Context, person: Person) -> Reply:
    ctx.forget_conversations()  # first: for this, nothing else has to work
    forgotten = await ctx.chorus.privacy.forget(ctx.guild, person.id, names=person.names, said_by=ctx.user)
    return Text(_told(forgotten, person))


def _told(forgotten: Forgotten, person: Person) -> str:
    told = [
        f"Deleted, and opted out: nothing is learned from them any more{_until_they_opt_in(person)}. "
        "What I remembered of conversations here is forgotten, too."
    ]
    if forgotten.datasets:
        told.append(
            "Datasets withdrawn, and built anew where words of others are left: "
            f"{in_a_row(forgotten.datasets)} ({forgotten.objects} stored objects)."
        )
    else:
        told.append("There was no dataset with any of these words.")
    if forgotten.feedback:
        told.append(f"Tests, questions, feedback, examples and personas deleted: {forgotten.feedback}.")
    if forgotten.models:
        at = forgotten.blocked_at
        until = f"on {minute(at)}" if at and at > now() else "now"
        told.append(
            f"Models that learned from them: {in_a_row(forgotten.models)}. They stop answering {until}. "
            + TRAIN_ANEW
        )
    return "\n".join(told)


def _until_they_opt_in(person: Person) -> str:
    return ", until you say `!privacy optin`" if person.is_oneself else ""


def _state(record: ConsentRecord | None, person: Person) -> str:
    you, are, have = ("You", "are", "have") if person.is_oneself else (person.id, "is", "has")
    if record is None:
        return f"{you} {have} not said anything: what is handed over is learned."
    since = f"since {minute(record.at)}"
    if record.forget_since:
        return f"{you} {are} opted out {since}, and a deletion is under way."
    return f"{you} {are} opted {record.state} {since}."


async def _person(ctx: Context, asked: PrivacyParameters) -> Person:
    if asked.person is None and asked.names is None:
        return Person(ctx.user, list(ctx.names[:NAMES]), is_oneself=True)
    require_own(ctx, "To name somebody (`person=`, `names=`)")
    given = [name.strip() for name in (asked.names or "").split(",") if name.strip()]
    if asked.person is None:
        return Person(ctx.user, _checked([*ctx.names, *given]), is_oneself=True)
    known = mentioned_id(asked.person)
    if is_id(known):
        return Person(known, _checked(given), is_oneself=known == ctx.user)
    return Person(asked.person, _checked([asked.person, *given]), is_oneself=False)


def _checked(names: list[str]) -> list[str]:
    once = list(dict.fromkeys(names))
    if len(once) > NAMES or any(len(name) > LONGEST_NAME for name in once):
        raise InvalidInput(
            f"At most {NAMES} names of {LONGEST_NAME} characters are matched at once.",
            code="too_many_names",
            param="names",
        )
    return once


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text

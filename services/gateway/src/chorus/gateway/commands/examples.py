"""`!examples`: questions and answers that the model is shown before each conversation (few-shot).

    !examples                                      what there is
    !examples add "When do you open?" "At eight."
    !examples add user: When do you open? bot: At eight.
    !examples add file=pairs.json                  [{"user": "…", "bot": "…"}]
    !examples remove 2
    !examples clear

Nothing is trained on them. They are kept, though, each with the id of who gave it (`trust` has the rule).
"""

import re
from collections.abc import Callable, Sequence

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from chorus.common.contracts.guild import EXAMPLES_KEPT, Exchange, GuildSettings
from chorus.common.contracts.wire import MIB
from chorus.common.errors import InvalidInput, NotFound, TooLarge, in_short
from chorus.gateway.commands.blocks import FENCE, unfenced
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters, words
from chorus.gateway.commands.phrases import counted
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Card, Reply, Text
from chorus.gateway.commands.rights import require, settings_of
from chorus.gateway.commands.trust import refuse_typed_examples

LARGEST = MIB  # bytes of a file: 32 exchanges at their longest are a quarter of it
LONGEST = 2000  # characters of a question or an answer, as the contract has it
HOW = 'Write `!examples add "question" "answer"`, or `add user: … bot: …`, or attach a JSON file.'

_LABELLED = re.compile(r"user:(.*?)\bbot:(.*)", re.IGNORECASE | re.DOTALL)


class ExamplesParameters(Parameters):
    """What `!examples` takes."""

    wish: str | None = Field(
        default=None,
        description='`add "question" "answer"`, `add user: … bot: …`, `list`, `remove 2`, `clear`',
    )
    file: str | None = Field(default=None, description='with `add`: JSON, `[{"user": "…", "bot": "…"}]`')
    user: str | None = Field(default=None, description="with `add`: the question, for command lines")
    bot: str | None = Field(default=None, description="with `add`: the answer to it")


class _Pair(BaseModel):
    user: str
    bot: str


_PAIRS = TypeAdapter(list[_Pair])


async def examples(ctx: Context, asked: ExamplesParameters) -> Reply:
    """Show the examples, or change them."""
    verb, rest = [*(asked.wish or "").split(maxsplit=1), "", ""][:2]
    if verb.lower() in ("", "list") and not rest:
        return _listed((await settings_of(ctx)).examples)
    await require(ctx, "manage", "Giving examples")
    match verb.lower(), rest.strip():
        case "add", text:
            return await _added(ctx, await _given(ctx, asked, text))
        case "remove", number:
            return await _removed(ctx, number)
        case "clear", "":
            await _changed(ctx, lambda _: [])
            return Text("No examples are shown any more.")
        case _:
            raise InvalidInput(
                f"`{in_short(asked.wish or '')}` is nothing that !examples can do: it is `add`, `list`, "
                "`remove` with a number, or `clear`.",
                code="unknown_wish",
                param="wish",
            )


# --- add -----------------------------------------------------------------------------------------
async def _given(ctx: Context, asked: ExamplesParameters, text: str) -> list[Exchange]:
    """What is to be added: of a file, or as it was typed."""
    files = [asked.file] if asked.file else ctx.files.attached()
    pairs = [pair for name in files for pair in await _of_file(await ctx.files.read(name))]
    typed = [(asked.user, asked.bot)] if asked.user and asked.bot else _typed(text)
    if typed:
        refuse_typed_examples(ctx.trust)
    if not (pairs or typed):
        raise InvalidInput(f"There is no example to add. {HOW}", code="no_examples", param="wish")
    return [_exchange(user, bot, ctx.user) for user, bot in (*pairs, *typed)]


def _typed(text: str) -> list[tuple[str, str]]:
    """Question and answer, between quotes or behind `user:` and `bot:`; or JSON, as in a file."""
    if not text or text.startswith(("[", FENCE)):
        return _of_json("What is typed", unfenced(text).encode()) if text else []
    if labelled := _LABELLED.fullmatch(text):
        return [(labelled[1], labelled[2])]
    match words(text):
        case [user, bot]:
            return [(user, bot)]
        case _:
            raise InvalidInput(
                f"That is not a question and an answer. {HOW}", code="not_examples", param="wish"
            )


async def _of_file(upload: Upload) -> list[tuple[str, str]]:
    if upload.size > LARGEST:
        raise TooLarge(
            f"{in_short(upload.name)} is too large for a handful of examples: learn from it with !train.",
            param="file",
        )
    return _of_json(in_short(upload.name), await upload.read())


def _of_json(called: str, text: bytes) -> list[tuple[str, str]]:
    try:
        return [(pair.user, pair.bot) for pair in _PAIRS.validate_json(text)]
    except ValidationError:
        raise InvalidInput(
            f'{called} is no list of questions and answers: `[{{"user": "…", "bot": "…"}}]`.',
            code="not_examples",
            param="wish",
        ) from None


def _exchange(user: str, bot: str, by: str) -> Exchange:
    """Raises `InvalidInput` for what is empty or too long."""
    user, bot = user.strip(), bot.strip()
    if not (user and bot) or max(len(user), len(bot)) > LONGEST:
        raise InvalidInput(
            f"An example's question and answer have 1 to {LONGEST} characters each; of "
            f"{in_short(user)!r} that is not so.",
            code="bad_example",
            param="wish",
        )
    return Exchange(user=user, bot=bot, by=by)


async def _added(ctx: Context, given: Sequence[Exchange]) -> Reply:
    def with_them(old: list[Exchange]) -> list[Exchange]:
        known = {(one.user, one.bot) for one in old}
        new = {(one.user, one.bot): one for one in given if (one.user, one.bot) not in known}
        if len(old) + len(new) > EXAMPLES_KEPT:
            raise InvalidInput(
                f"At most {EXAMPLES_KEPT} examples are shown, and there are {len(old)}. "
                "Take some away (`!examples remove 1`), or have them learned: `!train`.",
                code="too_many_examples",
                param="wish",
            )
        return [*old, *new.values()]

    kept = await _changed(ctx, with_them)
    return Text(f"From now on the model is shown {counted(len(kept), 'example')} before each conversation.")


# --- list, remove --------------------------------------------------------------------------------
def _listed(kept: Sequence[Exchange]) -> Reply:
    if not kept:
        return Text(f"There are no examples yet. {HOW}")
    rows = [(str(number), in_short(one.user), in_short(one.bot)) for number, one in enumerate(kept, 1)]
    footer = "Shown to the model before each conversation; nothing is trained on them."
    return Card("Examples", ("", "question", "answer"), rows, footer, quotes=True)


async def _removed(ctx: Context, number: str) -> Reply:
    def without(old: list[Exchange]) -> list[Exchange]:
        if not number.isdecimal() or not 1 <= int(number) <= len(old):
            raise NotFound(
                f"There is no example {in_short(number)!r}. !examples lists them with their numbers.",
                code="unknown_example",
                param="wish",
            )
        return [one for at, one in enumerate(old, 1) if at != int(number)]

    kept = await _changed(ctx, without)
    return Text(f"Example {number} is gone; {counted(len(kept), 'example')} left.")


async def _changed(ctx: Context, new: Callable[[list[Exchange]], list[Exchange]]) -> list[Exchange]:
    """The examples, changed."""

    def with_new(old: GuildSettings) -> GuildSettings:
        return old.model_copy(update={"examples": new(old.examples)})

    return (await ctx.chorus.guilds.change(ctx.guild, with_new)).examples

"""Who may be learned from: the operator's mode, the guild's recorded notice, and how words came.

    way         came by a message in a guild          in a direct message        by a file or a terminal
    uploaded    always                                always                     always
    submitted   mode submitted or permitted, and      mode submitted or          always
                the notice is recorded                permitted
    mined       mode permitted                        never                      never
    shown       mode submitted or permitted           the same                   always

`shown` are examples for the model to see (`!examples`). Nothing is trained on them, and only who runs the
place gives them: so they need no notice. But they are kept, so where nothing that is typed may be, they
come in files. `contracts.consent` says what the modes mean, and why.
"""

from chorus.common.contracts.datasets import Basis, Way
from chorus.common.contracts.names import is_server
from chorus.common.errors import NotPermitted
from chorus.gateway.commands.context import Context, Trust

NOTICE = (
    'What members type to this bot in order to teach it (`!train "…"`, `!correct`), and, where an answer is '
    "judged and you approve of that (`!review`), what was asked, becomes a dataset of this server, is "
    "kept by whoever operates the bot, and trains this server's own models. Everybody can see what is kept "
    "of them, opt out and have it deleted: `!privacy`. By accepting this you confirm that you run this "
    "server, that you may use these words so, that its members are told, and that Discord's Developer Policy "
    "is kept: it forbids to train models on message content without Discord's permission."
)


async def basis(ctx: Context, way: Way) -> Basis:
    """By what right words that came this way are learned from. Raises `NotPermitted`: nobody may."""
    needs_notice = way == "submitted" and ctx.trust.via == "message" and is_server(ctx.guild)
    noticed = not needs_notice or (await ctx.chorus.guilds.settings(ctx.guild)).notice is not None
    return permitted(ctx.trust, ctx.guild, way, noticed=noticed)


def permitted(trust: Trust, guild: str, way: Way, *, noticed: bool) -> Basis:
    """The rule of the table above. `noticed`: somebody who runs the guild has accepted the notice."""
    in_guild = is_server(guild)
    if way == "mined" and (trust.mode != "permitted" or not in_guild):
        raise NotPermitted(
            "History is learned from only in servers, and where the operator has Discord's permission "
            "(CHORUS_TRAIN_ON_MESSAGES=permitted). Attach an export to `!train` instead.",
            code="training_off",
        )
    if way == "submitted" and trust.via == "message":
        if trust.mode == "off":
            raise NotPermitted(
                "Here nothing is learned from messages. Attach a file to `!train` instead.",
                code="training_off",
            )
        if in_guild and not noticed:
            raise NotPermitted(
                "Before words that are typed here can be learned, somebody who manages this server reads and "
                "accepts a notice: `!notice`. Attached files need none.",
                code="notice_needed",
            )
    return Basis(way=way, mode=trust.mode, reference=trust.reference if trust.mode == "permitted" else None)


def refuse_typed_examples(trust: Trust) -> None:
    """Raises `NotPermitted` where what is typed may not be kept to be shown to models."""
    if trust.via == "message" and trust.mode == "off":
        raise NotPermitted(
            "Here nothing that is typed is kept. Attach a JSON file to `!examples add` instead.",
            code="training_off",
        )

"""Who may do what: each command needs one right, and each guild gives them to roles and people."""

from typing import get_args

import pytest

from chorus.common.contracts.guild import EVERYBODY, NOBODY, RIGHTS, GuildSettings, Right, Who
from chorus.common.contracts.wire import decode, encode
from chorus.gateway.commands.replies import Card, Problem, Stream
from chorus.gateway.commands.rights import allowed
from chorus.gateway.commands.rows import COMMANDS, GROUPS
from chorus.gateway.commands.table import run, run_filled_in
from tests.unit.gateway.fakes import World, told

SERVER = "100000000000000001"
TEACHERS = "501"

NEEDED: dict[Right | None, set[str]] = {
    None: {"privacy"},
    "train": {
        "train", "pause", "resume", "cancel", "import", "build", "mine", "preview", "select_dataset",
        "archive", "getfile", "mimic",
    },
    "manage": {"delete_dataset", "notice", "use", "rollback", "keep", "review"},
}  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


def choose(world: World, **choices: object) -> None:
    world.guilds.others = GuildSettings.model_validate(choices)


async def refused(world: World, line: str, *, roles: tuple[str, ...] = (), admin: bool = False) -> str:
    """The code of what keeps a member from it; empty where nothing does."""
    reply = await run(world.context(admin=admin, guild=SERVER, roles=roles, channel="7"), line)
    return reply.code if isinstance(reply, Problem) and reply.code in ("not_permitted", "denied") else ""


def test_every_command_needs_the_right_that_it_should() -> None:
    special = {name: right for right, names in NEEDED.items() for name in names}
    for name, command in COMMANDS.items():
        assert command.right == special.get(name, "chat"), name


@pytest.mark.parametrize("name", sorted(COMMANDS))
async def test_a_member_may_use_what_everybody_may_and_nothing_else(world: World, name: str) -> None:
    free = COMMANDS[name].right in (None, "chat")
    assert (await refused(world, f"!{name}") == "") is free
    assert await refused(world, f"!{name}", admin=True) == ""
    filled_in = await run_filled_in(world.context(admin=False, guild=SERVER), name, {})
    assert (isinstance(filled_in, Problem) and filled_in.code == "not_permitted") is not free


@pytest.mark.parametrize("name", sorted(COMMANDS))
async def test_who_is_denied_may_do_nothing_but_care_for_their_own_words(world: World, name: str) -> None:
    choose(world, denied=Who(users=["42"]), rights=dict.fromkeys(RIGHTS, EVERYBODY))
    assert await refused(world, f"!{name}") == ("denied" if name != "privacy" else "")
    assert await refused(world, f"!{name}", admin=True) == ""
    assert await refused(world, "hi") == await refused(world, "!nothing") == "denied"
    assert not world.answers.asked


@pytest.mark.parametrize("given", RIGHTS)
@pytest.mark.parametrize("who", [Who(roles=[TEACHERS]), Who(users=["42"]), EVERYBODY])
async def test_a_right_includes_those_before_it(world: World, given: Right, who: Who) -> None:
    choose(world, rights={"chat": NOBODY, given: who})
    ctx = world.context(admin=False, guild=SERVER, roles=(TEACHERS,))
    settings = await world.guilds.settings(SERVER)
    assert [right for right in RIGHTS if allowed(ctx, settings, right)] == [
        right for right in get_args(Right) if RIGHTS.index(right) <= RIGHTS.index(given)
    ]
    other = world.context(admin=False, guild=SERVER, user="43", roles=("502",))
    assert [allowed(other, settings, right) for right in RIGHTS] == [
        who.everybody and allowed(ctx, settings, right) for right in RIGHTS
    ]


async def test_who_has_a_role_that_may_train_trains_and_does_not_manage(world: World) -> None:
    choose(world, rights={"train": Who(roles=[TEACHERS])})
    assert await refused(world, "!train words", roles=(TEACHERS,)) == ""
    assert await refused(world, "!train words", roles=("502",)) == "not_permitted"
    assert await refused(world, "!use base", roles=(TEACHERS,)) == "not_permitted"


@pytest.mark.parametrize(
    "line",
    ["!persona You are.", "!examples clear", "!privacy days=3", "!settings prefix ?", "!settings train 501"],
)
async def test_what_is_the_managers_needs_that_right_inside_of_a_command_too(world: World, line: str) -> None:
    assert await refused(world, line) == "not_permitted"
    choose(world, rights={"manage": Who(users=["42"])})
    assert await refused(world, line) == ""


@pytest.mark.parametrize(
    "line",
    [
        "!settings manage everyone", "!settings manage <@42> here=yes", "!settings reset manage",
        "!privacy delete person=7 sure=True", "!privacy export person=7", "!privacy optout person=7",
        "!privacy delete names=bo sure=True", "!notice accept",
    ],
)  # fmt: skip
async def test_a_granted_right_is_not_handed_on_and_reaches_nobody_elses_words(
    world: World, line: str
) -> None:
    choose(world, rights={"manage": Who(users=["42"])})
    before = world.guilds.others
    assert await refused(world, line) == "not_permitted"
    assert world.guilds.others == before
    assert not world.privacy.asked
    assert await refused(world, line, admin=True) == ""


async def test_a_channel_gives_rights_of_its_own(world: World) -> None:
    here = {"chat": NOBODY, "train": Who(roles=[TEACHERS])}
    choose(world, rights={"train": Who(users=["42"])}, channels={"7": {"rights": here}})

    async def code(line: str, channel: str, *roles: str) -> str:
        reply = await run(world.context(admin=False, guild=SERVER, roles=roles, channel=channel), line)
        return reply.code if isinstance(reply, Problem) else ""

    assert await code("hi", "7") == await code("!train words", "7") == "not_permitted"
    assert await code("hi", "7", TEACHERS) == await code("!train words", "7", TEACHERS) == ""
    assert await code("hi", "8") == await code("!train words", "8") == ""
    assert await code("!use base", "7", TEACHERS) == "not_permitted"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("!settings temperature 1 here=yes", ""),
        ("!settings listen on", ""),
        ("!persona here=yes You are.", ""),
        ("!settings temperature 1", "not_permitted"),
        ("!settings deny <@43>", "not_permitted"),
        ("!persona You are.", "not_permitted"),
    ],
)
async def test_who_manages_one_channel_chooses_nothing_for_the_others(
    world: World, line: str, code: str
) -> None:
    choose(world, channels={"7": {"rights": {"manage": Who(users=["42"])}}})
    assert await refused(world, line) == code


@pytest.mark.parametrize(
    "line",
    [
        "!use base", "!rollback", "!keep k7f3m2qxab", "!delete_dataset club", "!examples clear",
        "!privacy days=3", "!review approve all", "!build club", "!select_dataset club", "!mine",
        "!mimic <@7>", "!archive club", "!getfile club", "!preview club",
    ],
)  # fmt: skip
async def test_a_right_that_one_channel_lends_reaches_nothing_beyond_it(world: World, line: str) -> None:
    lent = {"manage": Who(users=["42"])}
    choose(world, channels={"7": {"rights": lent}})
    assert await refused(world, line) == "not_permitted"
    choose(world, rights=lent, channels={"7": {"rights": {"manage": NOBODY}}})
    assert await refused(world, line) == "not_permitted", "what a channel takes away is not had there"
    choose(world, rights=lent)
    assert await refused(world, line) == ""


async def test_who_may_train_in_one_channel_stops_only_their_own_trainings(world: World) -> None:
    choose(world, channels={"7": {"rights": {"train": Who(users=["42", "43"])}}})
    theirs = world.context(admin=False, guild=SERVER, user="43", channel="7")
    await told(await run(theirs, "!train words"))
    (job,) = world.jobs.records
    for command in ("pause", "resume", "cancel"):
        assert await refused(world, f"!{command} {job}") == "not_permitted"
        assert not isinstance(await run(theirs, f"!{command} {job}"), Problem)
    choose(world, rights={"train": Who(users=["42"])})
    assert await refused(world, f"!cancel {job}") == ""


async def test_who_is_denied_in_a_channel_may_go_on_elsewhere(world: World) -> None:
    choose(world, channels={"7": {"denied": Who(users=["42"])}})
    assert await refused(world, "hi") == await refused(world, "!jobs") == "denied"
    elsewhere = await run(world.context(admin=False, guild=SERVER, channel="8"), "hi")
    assert isinstance(elsewhere, Stream)


async def test_where_only_some_may_chat_others_get_one_sentence(world: World) -> None:
    choose(world, rights={"chat": Who(roles=[TEACHERS])})
    reply = await run(world.context(admin=False, guild=SERVER), "hi")
    assert reply == Problem(
        "not_permitted", "Only some people may use me here. Ask those who manage this server."
    )
    assert isinstance(await run(world.context(admin=False, guild=SERVER, roles=(TEACHERS,)), "hi"), Stream)


async def test_help_lists_what_the_person_may_use_in_groups(world: World) -> None:
    for admin, missing in ((True, set[str]()), (False, NEEDED["train"] | NEEDED["manage"])):
        shown = await run(world.context(admin=admin, guild=SERVER), "!help")
        assert isinstance(shown, Card)
        cells = {row[0] for row in shown.rows}
        assert {c.usage for c in COMMANDS.values() if c.usage in cells} == {
            c.usage for name, c in COMMANDS.items() if name not in missing
        }
        assert {title.upper() for title in GROUPS} <= cells
    group = await run(world.context(admin=False, guild=SERVER), "!help place")
    assert isinstance(group, Card)
    assert ("!settings [NAME [VALUE]]", COMMANDS["settings"].summary, "e.g. !settings") in group.rows
    assert not any(usage.startswith("!use") for usage, *_ in group.rows)


def test_what_is_not_chosen_is_not_stored() -> None:
    assert encode(GuildSettings()) == b'{"v":1}'
    chosen = GuildSettings.model_validate(
        {
            "prefix": "?",
            "rights": {"train": {"roles": ["501"]}, "chat": {}},
            "denied": {"users": ["9"]},
            "channels": {"7": {"listen": True, "sampling": {"top_k": 20, "temperature": 0.5}}},
            "quotas": {"questions": {"everybody": 0, "roles": {"501": None}}},
            "keep_replies_days": 0,
        }
    )
    assert decode(GuildSettings, encode(chosen)) == chosen

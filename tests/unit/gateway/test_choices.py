"""`!settings`: every setting's good and bad values, and what they do."""

import pytest

from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.guild import ChannelSettings, GuildSettings, Limits, Who
from chorus.common.contracts.wire import decode, encode
from chorus.gateway.commands.replies import Card, Problem, Progress, Reply, Stream, Text
from chorus.gateway.commands.settings import SETTINGS
from chorus.gateway.commands.table import prefixed, run, run_filled_in
from tests.unit.gateway.fakes import World, told
from tests.unit.gateway.test_commands import trained

SERVER, CHANNEL = "100000000000000001", "7"


@pytest.fixture
def world() -> World:
    made = World()
    made.models.records = trained("adapter", "adapter")
    return made


async def said(world: World, line: str, *, channel: str | None = CHANNEL) -> str:
    reply = await run(world.context(guild=SERVER, channel=channel), line)
    assert isinstance(reply, Text), reply
    return reply.text


async def refused(world: World, line: str, *, guild: str = SERVER, channel: str | None = CHANNEL) -> str:
    before = world.guilds.others
    reply = await run(world.context(guild=guild, channel=channel), line)
    assert isinstance(reply, Problem), reply
    assert reply.message.endswith((".", "?"))
    assert world.guilds.others == before
    return reply.code


def in_channel(**choices: object) -> dict[str, object]:
    return {"channels": {CHANNEL: ChannelSettings.model_validate(choices)}}


GOOD = [
    ("prefix ?", {"prefix": "?"}, "?"),
    ("prefix c!", {"prefix": "c!"}, "c!"),
    ("prefix 🎵", {"prefix": "🎵"}, "🎵"),
    ("language DE", {"language": "de"}, "de"),
    ("language en-us", {"language": "en-us"}, "en-us"),
    ("language de here=yes", in_channel(language="de"), "de in this channel, whatever is spoken elsewhere"),
    ("speaker flite", {"speaker": "flite"}, "flite"),
    ("speaker flite/rms", {"speaker": "flite/rms"}, "flite/rms"),
    ("promote auto", {"promote": "auto"}, "auto"),
    ("keep_replies_days 0", {"keep_replies_days": 0}, "0"),
    ("Keep-Replies-Days 7", {"keep_replies_days": 7}, "7"),
    ("listen on", in_channel(listen=True), "on"),
    ("listen yes here=yes", in_channel(listen=True), "on"),
    ("voice_replies on", in_channel(voice_replies=True), "on"),
    ("model main@1", in_channel(model="main@1"), "main@1"),
    ("model base", in_channel(model="base"), "base"),
    ("temperature 0.7", {"sampling": {"temperature": 0.7}}, "0.7"),
    ("temperature 0", {"sampling": {"temperature": 0.0}}, "0.0"),
    ("temperature 0.7 here=yes", in_channel(sampling={"temperature": 0.7}), "0.7 in this channel, "),
    ("top_p 0.9", {"sampling": {"top_p": 0.9}}, "0.9"),
    ("top_k 40", {"sampling": {"top_k": 40}}, "40"),
    ("min_p 0.05", {"sampling": {"min_p": 0.05}}, "0.05"),
    ("repetition_penalty 1.1", {"sampling": {"repetition_penalty": 1.1}}, "1.1"),
    ("presence_penalty -1", {"sampling": {"presence_penalty": -1.0}}, "-1.0"),
    ("max_tokens 64", {"sampling": {"max_tokens": 64}}, "64"),
    ("stop ###", {"sampling": {"stop": ["###"]}}, '"###"'),
    ('stop "User: " END here=yes', in_channel(sampling={"stop": ["User: ", "END"]}), '"User: " "END" in'),
    ("seed 42", {"sampling": {"seed": 42}}, "42"),
    ("n 2", {"sampling": {"n": 2}}, "2"),
    ("train @Teachers", {"rights": {"train": Who(roles=["501"])}}, "<@&501>, and those"),
    (
        'train "quiet ones" <@&501> <@42>',
        {"rights": {"train": Who(roles=["502", "501"], users=["42"])}},
        "<@&502>, <@&501>, <@42>, and those",
    ),
    ("manage <@!43>", {"rights": {"manage": Who(users=["43"])}}, "<@43>, and those"),
    ("train 501 43", {"rights": {"train": Who(roles=["501"], users=["43"])}}, "<@&501>, <@43>"),
    ("train everyone", {"rights": {"train": Who(everybody=True)}}, "everybody"),
    ("chat admins", {"rights": {"chat": Who()}}, "those who manage this server"),
    (
        "chat @Teachers here=yes",
        in_channel(rights={"chat": Who(roles=["501"])}),
        "<@&501>, and those who manage this server on Discord in this channel, everybody elsewhere",
    ),
    ("deny <@43>", {"denied": Who(users=["43"])}, "<@43>"),
    ("deny <@43> here=yes", in_channel(denied=Who(users=["43"])), "<@43> in this channel, nobody everywhere"),
    ("quota questions 20", {"quotas": {"questions": Limits(everybody=20)}}, "20 questions an hour"),
    ("quota trainings 0", {"quotas": {"trainings": Limits(everybody=0)}}, "0 trainings a day"),
    (
        "quota questions 50 role=<@&501>",
        {"quotas": {"questions": Limits(roles={"501": 50})}},
        "any number of questions an hour (<@&501>: 50)",
    ),
    ("quota questions none @Teachers", {"quotas": {"questions": Limits(roles={"501": None})}}, "any number"),
]  # fmt: skip

BAD = [
    ("prefix toolong", "invalid_parameter"),
    ("prefix a b", "invalid_parameter"),
    ("prefix \u200b", "invalid_parameter"),
    ("prefix /", "invalid_parameter"),
    ("prefix <@42>", "invalid_parameter"),
    ("prefix hey", "invalid_parameter"),
    ("prefix ? here=yes", "same_everywhere"),
    ("language klingon!", "invalid_parameter"),
    ("language german", "invalid_parameter"),
    ("speaker siri", "unknown_voice"),
    ("promote maybe", "invalid_parameter"),
    ("keep_replies_days 31", "invalid_parameter"),
    ("keep_replies_days -1", "invalid_parameter"),
    ("listen perhaps", "invalid_parameter"),
    ("voice_replies loud", "invalid_parameter"),
    ("model ../x", "invalid_model_name"),
    ("model main@9", "unknown_model"),
    ("model nothing", "unknown_model"),
    ("temperature 9", "invalid_parameter"),
    ("temperature warm", "invalid_parameter"),
    ("temperature nan", "invalid_parameter"),
    ("top_p 0", "invalid_parameter"),
    ("top_k -1", "invalid_parameter"),
    ("min_p 2", "invalid_parameter"),
    ("repetition_penalty 0", "invalid_parameter"),
    ("presence_penalty 3", "invalid_parameter"),
    ("max_tokens 0", "invalid_parameter"),
    ("max_tokens 99999", "invalid_parameter"),
    ('stop ""', "invalid_parameter"),
    ("stop a b c d e f g h i", "invalid_parameter"),
    ("seed -1", "invalid_parameter"),
    ("n 9", "invalid_parameter"),
    ("train @Nobody-Knows", "unknown_role"),
    ("train <@&999>", "unknown_role"),
    ("train <@999>", "unknown_member"),
    ("train 999", "unknown_member"),
    ("deny everyone", "everybody_named"),
    ("allow everyone", "everybody_named"),
    ("quota role=@Teachers", "not_a_quota"),
    ("quota questions", "not_a_quota"),
    ("quota answers 3", "not_a_quota"),
    ("quota questions -1", "not_a_quota"),
    ("quota questions 1001", "not_a_quota"),
    ("quota questions 3 <@&999>", "unknown_role"),
    ("temprature 0.7", "unknown_setting"),
    ("persona You are a cat.", "unknown_setting"),
    ("reset nothing", "unknown_setting"),
    ("reset", "unknown_setting"),
]  # fmt: skip


@pytest.mark.parametrize(("wish", "choices", "shown"), GOOD)
async def test_a_good_value_is_kept_shown_and_taken_back(
    world: World, wish: str, choices: dict[str, object], shown: str
) -> None:
    name = wish.split()[0].lower().replace("-", "_")
    told_so = await said(world, f"!settings {wish}")
    assert told_so.startswith(f"{name} from now on: {shown}")
    kept = world.guilds.others
    assert kept == GuildSettings().model_copy(update=choices)
    assert decode(GuildSettings, encode(kept)) == kept, "what is stored can be read again"
    here = " here=yes" if "here=yes" in wish and name != "listen" else ""
    await said(world, f"!settings reset {name}{here}")
    assert world.guilds.others == GuildSettings()


@pytest.mark.parametrize(("wish", "code"), BAD)
async def test_a_bad_value_is_refused_in_a_sentence(world: World, wish: str, code: str) -> None:
    assert await refused(world, f"!settings {wish}") == code


@pytest.mark.parametrize("name", SETTINGS)
async def test_each_setting_is_explained_with_examples_that_work(world: World, name: str) -> None:
    explained = await said(world, f"!settings {name}")
    assert explained.startswith(f"{name}: {SETTINGS[name].about}\nNow: ")
    for example in SETTINGS[name].examples:
        assert f"!settings {example}" in explained
        for named in ("@Guests", "@marit"):  # whom this server does not have
            example = example.replace(named, "<@42>")
        await said(world, f"!settings {example}")


async def test_in_a_form_a_setting_and_its_value_are_given_apart(world: World) -> None:
    async def put(**values: object) -> Reply:
        return await run_filled_in(world.context(guild=SERVER, channel=CHANNEL), "settings", values)

    for values in (
        {"name": "temperature", "value": "0.5", "here": True},
        {"name": "quota", "value": "questions 5", "role": "@Teachers"},
        {"name": "prefix", "value": "?"},
        {"name": "prefix", "reset": True},
    ):
        assert isinstance(await put(**values), Text)
    assert world.guilds.others == GuildSettings().model_copy(
        update={
            "quotas": {"questions": Limits(roles={"501": 5})},
            **in_channel(sampling={"temperature": 0.5}),
        }
    )
    assert isinstance(await put(), Card)
    assert isinstance(await put(name="temperature"), Text)
    assert await refused(world, "!settings temperature 0.5 value=0.7") == "given_twice"
    assert await refused(world, "!settings value=0.7") == "unknown_setting"


async def test_all_of_them_are_shown_with_what_is_in_force_here(world: World) -> None:
    await said(world, "!settings temperature 0.9")
    await said(world, "!settings temperature 0.5 here=yes")
    shown = await run(world.context(admin=False, guild=SERVER, channel=CHANNEL), "!settings")
    assert isinstance(shown, Card)
    rows = dict(row for row in shown.rows if len(row) == 2)
    assert {name for name, one in SETTINGS.items() if one.listed} <= set(rows)
    assert rows["temperature"] == "0.5 in this channel, 0.9 elsewhere"
    assert rows["max_tokens"] == "512"
    at_home = await run(world.context(), "!settings")
    assert isinstance(at_home, Card)
    assert not {"listen", "train", "deny", "quota"} & {row[0] for row in at_home.rows}, "nobody else is there"


async def test_where_there_is_no_server_or_no_channel_that_is_said(world: World) -> None:
    assert await refused(world, "!settings train everyone", guild="local") == "no_people"
    assert await refused(world, "!settings listen on", channel=None) == "no_channel"
    assert await refused(world, "!settings temperature 1 here=yes", channel=None) == "no_channel"


async def test_denied_are_some_more_each_time_until_they_are_allowed_again(world: World) -> None:
    await said(world, "!settings deny <@42>")
    await said(world, "!settings deny <@43> @Teachers")
    assert world.guilds.others.denied == Who(users=["42", "43"], roles=["501"])
    assert await said(world, "!settings allow <@42> @Teachers") == "allow from now on: denied: <@43>."
    await said(world, "!settings reset deny")
    assert world.guilds.others.denied == Who()


# --- what they do --------------------------------------------------------------------------------
async def sampled(world: World, line: str, *, channel: str | None = CHANNEL) -> Sampling:
    reply = await run(world.context(guild=SERVER, channel=channel), line)
    assert isinstance(reply, Stream), reply
    assert [piece async for piece in reply.pieces]
    return world.answers.questions[-1].sampling


async def test_sampling_is_the_askers_then_the_channels_then_the_guilds(world: World) -> None:
    for wish in ("temperature 0.9", "max_tokens 64", "temperature 0.5 here=yes"):
        await said(world, f"!settings {wish}")
    assert await sampled(world, "hi") == Sampling(temperature=0.5, max_tokens=64)
    assert await sampled(world, "hi", channel="8") == Sampling(temperature=0.9, max_tokens=64)
    asked = await sampled(world, "!ask temperature=0.1 max_tokens=32 hi")
    assert asked == Sampling(temperature=0.1, max_tokens=32)
    await sampled(world, "!ask hi")
    assert (await sampled(world, "!regenerate")).max_tokens == 64


async def test_a_channel_may_have_another_model(world: World) -> None:
    world.models.chosen = "main"
    await said(world, "!settings model main@1")
    for channel in (CHANNEL, "8"):
        await sampled(world, "hi", channel=channel)
    await sampled(world, "!ask model=base hi")
    assert [question.model for question in world.answers.questions] == ["main@1", "main", None]


async def test_the_language_is_spoken_and_answered_in(world: World) -> None:
    await said(world, "!settings language de")
    await run(world.context(guild=SERVER), "!say Guten Morgen!")
    await run(world.context(guild=SERVER), "!say Bonjour! language=fr")
    assert [language for _, _, language in world.speech.spoken] == ["de", "fr"]
    await sampled(world, "hi")
    system = world.answers.questions[-1].messages[0]
    assert (system.role, system.content) == ("system", "Answer in this language: de.")
    await said(world, "!settings language fr here=yes")
    for channel, language in ((CHANNEL, "fr"), ("8", "de")):
        await sampled(world, "hi", channel=channel)
        told_so = world.answers.questions[-1].messages[0].content
        assert told_so == f"Answer in this language: {language}."


# --- the prefix ----------------------------------------------------------------------------------
async def test_commands_are_called_and_told_by_the_guilds_own_prefix(world: World) -> None:
    await said(world, "!settings prefix ?")
    assert "?models lists them" in await said(world, "?settings model")
    assert "?settings temperature 0.7" in await said(world, "!settings temperature"), "`!` is understood, too"
    shown = await run(world.context(guild=SERVER), "?help")
    assert isinstance(shown, Card)
    assert any(row[0] == "?ask QUESTION" for row in shown.rows)
    slip = await run(world.context(guild=SERVER), "?trian")
    assert isinstance(slip, Problem)
    assert "Did you mean ?train?" in slip.message
    started = await run(world.context(guild=SERVER), "?train words")
    assert isinstance(started, Progress)
    assert "!" not in await told(started)
    await sampled(world, "!wow, that is new")
    assert world.answers.questions[-1].messages[-1].content == "!wow, that is new"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Start one with !train.", "Start one with ?train."),
        ("`!select_dataset club`, or !settings", "`?select_dataset club`, or ?settings"),
        ("Wow!train it is; !!train; a!ask", "Wow!train it is; !!train; a!ask"),
        ("!training and !nothing", "!training and !nothing"),
    ],
)
def test_only_our_commands_are_called_otherwise(text: str, expected: str) -> None:
    assert prefixed(text, "?") == expected

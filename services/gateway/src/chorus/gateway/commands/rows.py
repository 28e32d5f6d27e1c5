"""All commands, by name. Front-ends and help read these rows; to add a command, add one."""

import difflib

from chorus.common.contracts.guild import PREFIX
from chorus.common.errors import NotFound, in_short
from chorus.gateway.commands import datasets as data
from chorus.gateway.commands.chat import Ask, Continue, Regenerate, Say, ask, go_on, regenerate, reset, say
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.compare import Compare, compare
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.errors import Errors, errors
from chorus.gateway.commands.examples import ExamplesParameters, examples
from chorus.gateway.commands.feedback import Correct, FeedbackParameters, correct, feedback
from chorus.gateway.commands.help import OPTIONS, Help, build_options, in_full, of_group, overview
from chorus.gateway.commands.importing import Build, Import, build, import_files
from chorus.gateway.commands.jobs import Logs, OneJob, cancel, job, jobs, keep, logs, pause, resume
from chorus.gateway.commands.mimic import Mimic, mimic
from chorus.gateway.commands.mining import Mine, mine
from chorus.gateway.commands.models import Rollback, Use, models, rollback, use
from chorus.gateway.commands.notice import NoticeParameters, notice
from chorus.gateway.commands.parsing import NoParameters
from chorus.gateway.commands.persona import PersonaParameters, persona
from chorus.gateway.commands.privacy import PrivacyParameters, privacy
from chorus.gateway.commands.qa import Qa, qa
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.review import Review, review
from chorus.gateway.commands.rights import allowed, settings_of
from chorus.gateway.commands.settings import SettingsParameters, settings
from chorus.gateway.commands.speech import Recording, Transcribe, sound, speak, transcribe
from chorus.gateway.commands.speech import Say as Speak
from chorus.gateway.commands.testing import Trial, test
from chorus.gateway.commands.training import Train, train
from chorus.gateway.commands.voice import Join, join, leave, skip, stop
from chorus.gateway.commands.welcome import hi, instruction


async def show_help(ctx: Context, asked: Help) -> Reply:
    """Explain one command or one group of them, or list all that the person may use."""
    chosen = await settings_of(ctx)
    mine = {
        title: [command for command in group if allowed(ctx, chosen, command.right, here=command.here)]
        for title, group in GROUPS.items()
    }
    if asked.command is None:
        return overview(mine, overhears=ctx.overhears)
    word = asked.command.lower()
    if word == OPTIONS:
        return Text(build_options())
    if word in GROUPS:
        return of_group(word, mine[word])
    return Text(in_full(find(asked.command.removeprefix(chosen.prefix).lstrip(PREFIX))))


TRAINING = (
    Command(
        "train", train, Train, "text", '!train "words" file=PATH data=NAME',
        "teach the model something new",
        (
            "!train file=examples/first-run.json", '!train "We meet on Fridays at eight." model=club',
            "!train data=club,quay epochs=3", "!train data=club start=main@2", "!train",
        ),
        right="train", here=True,
    ),
    Command("job", job, OneJob, "job", "!job ID", "see how a training is doing", ("!job k7f3m2qxab",)),
    Command("jobs", jobs, NoParameters, None, "!jobs", "list all trainings"),
    Command(
        "logs", logs, Logs, "job", "!logs ID", "see what was said during a training", ("!logs k7f3m2qxab",)
    ),
    Command(
        "pause", pause, OneJob, "job", "!pause ID", "stop a training for a while", ("!pause k7f3m2qxab",),
        right="train", here=True,
    ),
    Command(
        "resume", resume, OneJob, "job", "!resume ID", "let a paused training go on", ("!resume k7f3m2qxab",),
        right="train", here=True,
    ),
    Command(
        "cancel", cancel, OneJob, "job", "!cancel ID", "stop a training", ("!cancel k7f3m2qxab",),
        right="train", here=True,
    ),
    Command(
        "keep", keep, OneJob, "job", "!keep ID", "let the model answer that did before a training",
        ("!keep k7f3m2qxab",), right="manage",
    ),
    Command(
        "mimic", mimic, Mimic, "person", "!mimic @NAME",
        "train a model that answers as somebody would who has opted in",
        ("!mimic @ada", "!mimic @ada channel=#general epochs=3"), right="train",
    ),
)  # fmt: skip

DATA = (
    Command(
        "import", import_files, Import, "files", "!import file=PATH", "make a dataset without a training",
        ("!import file=export.json name=club", "!import part-1.json part-2.json target=Marit gap_minutes=30"),
        right="train", here=True,
    ),
    Command(
        "build", build, Build, "dataset", "!build NAME", "build a dataset anew, with other options",
        ("!build club gap_minutes=120 min_words=3",), right="train",
    ),
    Command(
        "mine", mine, Mine, None, "!mine", "make a dataset of what people who opted in have said here",
        ("!mine", "!mine channel=#general,#support name=club since=2026-01-31"), right="train",
    ),
    Command("datasets", data.datasets, NoParameters, None, "!datasets", "list the datasets"),
    Command(
        "dataset", data.show, data.OneDataset, "dataset", "!dataset NAME", "see what is in a dataset",
        ("!dataset club", "!dataset club@2"),
    ),
    Command(
        "preview", data.preview, data.Preview, "dataset", "!preview NAME",
        "see examples as a model will see them", ("!preview club count=5",), right="train",
    ),
    Command(
        "select_dataset", data.select, data.Select, "dataset", "!select_dataset NAME",
        "choose what a bare !train learns", ("!select_dataset club positive=True",), right="train",
    ),
    Command(
        "archive", data.archive, data.Archive, "dataset", "!archive NAME", "get a dataset as a ZIP",
        ("!archive club", "!archive club@2 to=club.zip"), right="train",
    ),
    Command(
        "getfile", data.getfile, data.GetFile, "file", "!getfile NAME",
        "get a file that was uploaded, or a dataset's examples", ("!getfile export.json", "!getfile club"),
        right="train",
    ),
    Command(
        "delete_dataset", data.delete, data.Delete, "dataset", "!delete_dataset NAME",
        "delete a dataset with all its versions", ("!delete_dataset club",), right="manage",
    ),
)  # fmt: skip

TRUST = (
    Command(
        "privacy", privacy, PrivacyParameters, "wish", "!privacy [optin|optout|export|delete]",
        "say what may be learned from you, see what is kept, have it deleted",
        ("!privacy", "!privacy optout", "!privacy delete"), right=None,
    ),
    Command(
        "notice", notice, NoticeParameters, "answer", "!notice [accept]",
        "read and accept what typed words are learned under", ("!notice",), right="manage",
    ),
)  # fmt: skip

TESTING = (
    Command(
        "test", test, Trial, "records", '!test [{"text": "…", "expected": "…"}]',
        "ask many questions, and see how many answers are right",
        (
            '!test [{"text": "When do you open?", "expected": "At seven."}]',
            "!test file=records.json model=club@2", '!test {"prompt": "Wifi?"} bare=yes',
        ),
    ),
    Command(
        "errors", errors, Errors, None, "!errors", "see where tests went wrong, or learn from it",
        ("!errors", "!errors model=club@2 count=10", "!errors to=errors.json"),
    ),
)  # fmt: skip

TALKING = (
    Command(
        "ask", ask, Ask, "question", "!ask QUESTION", "ask one question, apart from the conversation",
        (
            "!ask When do you open?", "!ask model=main@2 When do you open?",
            "!ask temperature=0.7 top_p=0.9 n=3 What is on the menu?",
        ),
        reads=True,
    ),
    Command(
        "send_message", say, Say, "text", "!send_message TEXT",
        "say something in the conversation, as plain text does", ('!send_message "When do you open?"',),
        reads=True,
    ),
    Command(
        "regenerate", regenerate, Regenerate, None, "!regenerate", "have the last question answered anew",
        ("!regenerate", "!regenerate temperature=1.2"),
    ),
    Command(
        "continue", go_on, Continue, None, "!continue", "have an answer go on that was cut off"
    ),
    Command(
        "qa", qa, Qa, "question", "!qa QUESTION", "have a question answered from our data, or by the model",
        ("!qa When do you open?",),
    ),
    Command("reset", reset, NoParameters, None, "!reset", "forget the conversation here"),
    Command(
        "compare", compare, Compare, "text", "!compare MODEL MODEL [QUESTION]",
        "see two models answer the same question",
        ('!compare main@1 main@2 "When do you open?"', "!compare main@2 base When do you open?"),
    ),
    Command(
        "say", speak, Speak, "text", "!say TEXT", "hear a text spoken",
        ("!say We sail at dawn.", "!say Guten Morgen! language=de to=morning.ogg"),
    ),
    Command(
        "transcribe", transcribe, Transcribe, "text", "!transcribe file=PATH",
        "read what is said in a recording",
        ("!transcribe file=morning.ogg", "!transcribe file=morning.ogg language=de"),
    ),
    Command(
        "sound", sound, Recording, "text", "!sound file=PATH", "play a recording in the voice channel",
        ("!sound file=morning.ogg",),
    ),
    Command("join", join, Join, None, "!join", "have me in your voice channel, to speak there"),
    Command("leave", leave, NoParameters, None, "!leave", "send me out of the voice channel"),
    Command("skip", skip, NoParameters, None, "!skip", "end what I am saying in the voice channel"),
    Command("stop", stop, NoParameters, None, "!stop", "silence me in the voice channel"),
)  # fmt: skip

JUDGING = (
    Command(
        "feedback", feedback, FeedbackParameters, "text", '!feedback up | down | "words"',
        "say how good an answer was", ("!feedback up", '!feedback "It could be shorter."'),
    ),
    Command(
        "correct", correct, Correct, "text", "!correct [ID] TEXT", "say what an answer should have been",
        ("!correct We open at eight.", '!correct 1234567890123456789 "We open at eight."'),
    ),
    Command(
        "review", review, Review, "wish", "!review [approve | reject ID … | all]",
        "see what people said of answers, and have it learned",
        ("!review", "!review approve 1234567890123456789", "!review reject all"), right="manage",
    ),
)  # fmt: skip

PLACE = (
    Command(
        "settings", settings, SettingsParameters, "name", "!settings [NAME [VALUE]]",
        "see or change what is chosen here: prefix, language, listening, sampling, rights, quotas",
        (
            "!settings", "!settings temperature 0.7 here=yes", "!settings listen on",
            "!settings train @Teachers", "!settings language de here=yes", "!settings quota questions 20",
            "!settings reset temperature",
        ),
    ),
    Command(
        "persona", persona, PersonaParameters, "text", "!persona [TEXT]", "see or say who the model is to be",
        ('!persona "You are the cat of a café."', "!persona here=yes You are a pirate.", "!persona clear"),
    ),
    Command(
        "examples", examples, ExamplesParameters, "wish", "!examples [add | list | remove N | clear]",
        "show the model how to answer, without a training",
        (
            '!examples add "When do you open?" "At eight."', "!examples add user: Wifi? bot: No wifi.",
            "!examples add file=data.json", "!examples remove 1", "!examples clear",
        ),
    ),
    Command("models", models, NoParameters, None, "!models", "list the models you have trained"),
    Command(
        "use", use, Use, "model", "!use MODEL", "choose the model that answers",
        ("!use main@1", "!use main@previous", "!use base"), right="manage",
    ),
    Command(
        "rollback", rollback, Rollback, "model", "!rollback [NAME]",
        "have the version answer again that did before", ("!rollback", "!rollback main"), right="manage",
    ),
    Command("hi", hi, NoParameters, None, "!hi", "see whether I am there"),
    Command("instruction", instruction, NoParameters, None, "!instruction", "see how to begin"),
    Command(
        "help", show_help, Help, "command", "!help [COMMAND]", "explain the commands",
        ("!help train", f"!help {OPTIONS}"),
    ),
)  # fmt: skip

GROUPS = {
    "talking": TALKING,
    "teaching": (*TRAINING, *TESTING),
    "judging": JUDGING,
    "data": DATA,
    "trust": TRUST,
    "place": PLACE,
}
"""As people think of them."""

COMMANDS = {command.name: command for group in GROUPS.values() for command in group}


def nearest(name: str) -> str | None:
    """The command that was meant, as far as one can guess."""
    near = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
    return near[0] if near else None


def known(name: str) -> Command | None:
    """The command with this name, dashes as good as underscores, if it is one."""
    return COMMANDS.get(name.lower().replace("-", "_"))


def find(name: str) -> Command:
    """The command with this name. Raises `NotFound` with the nearest one."""
    if (command := known(name)) is not None:
        return command
    near = nearest(name)
    hint = f" Did you mean !{near}?" if near else ""
    raise NotFound(
        f"There is no command !{in_short(name)}.{hint} !help lists them all.", code="unknown_command"
    )

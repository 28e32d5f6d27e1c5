"""Every command, as it is documented: typed, as a slash command, and in the console. All of Chorus is real.

One after the other the lines are given in a place of their own for each form; the forms go side by side.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pytest

from chorus.common.contracts.guild import PREFIX
from chorus.gateway.commands.context import Chorus
from chorus.gateway.commands.rows import COMMANDS
from tests.conftest import fresh_guild
from tests.support.chorus import RunningChorus
from tests.support.discord.double import running_discord
from tests.support.discord.forms import Form, Slashed, Terminal, Typed, code
from tests.support.discord.whole import present
from tests.support.discord.world import Attachment

WITHIN = 60.0  # seconds until a line that is not answered as expected is given up
FORMS = ("typed", "slashed", "console")
PAIRS = [{"user": "What is the cat called?", "bot": "Bosun."}, {"user": "Wifi?", "bot": "Yes."}]
JOB = re.compile(r"Job ID: (\w+)")
A_JOB, AN_ANSWER = "k7f3m2qxab", "1234567890123456789"
"""What examples call them; those that are there take their place."""


@dataclass(frozen=True)
class Line:
    """A line, and words that are in its reply, or the code of its refusal: in all forms the same."""

    text: str
    says: str = ""
    console: str | None = None
    """What the console says, where it is something else: it has no people, channels and voices."""

    files: tuple[str, ...] = ()
    """Those that are handed over with it."""
    answer: bool = False
    """Whether the model answers, which takes a while; buttons come below."""

    def expected(self, form: str) -> str:
        """What is said to it in this form."""
        return self.console if form == "console" and self.console is not None else self.says

    @property
    def attachments(self) -> list[Attachment]:
        """No two files have the same in them."""
        return [
            Attachment(name, json.dumps([*PAIRS, {"user": f"{name}?", "bot": "It is."}]).encode())
            for name in self.files
        ]


STARTED = "Model training started. Job ID: "
SELECTED = "Dataset selected and archived. Dataset: club@"
AI = "-# AI"  # there a persona answers
CUT_OFF = "Cut off: the answer reached its length limit."
RECORD = '{"text": "Wifi?", "expected": "Yes."}'
LINES = (
    Line("!notice", "becomes a dataset of this server"),
    Line("!notice accept", "Recorded.", console=""),
    Line("!hi", "HI!"),
    Line("!instruction", "!train"),
    Line("!help train", "!train"),
    Line("!help options", "gap_minutes="),
    # --- data
    Line("!import file=export.json name=club", "Dataset club@1", files=("export.json",)),
    Line("!import file=more.json name=club", "Dataset club@2", files=("more.json",)),
    Line(
        "!import part-1.json part-2.json target=Marit gap_minutes=30",
        "Dataset part-1@1",
        files=("part-1.json", "part-2.json"),
    ),
    Line("!build club gap_minutes=120 min_words=3", "Dataset club@"),
    Line("!datasets", "club@2"),
    Line("!dataset club", "club@"),
    Line("!dataset club@2", "club@2"),
    Line("!preview club count=5", "Bosun."),
    Line("!select_dataset club positive=True", SELECTED),
    Line('!select_dataset "club" True', SELECTED),
    Line("!archive club", "have been archived."),
    Line("!archive club@2 to=club.zip", "club.zip"),
    Line("!archive /some/dir", "[server_path]"),
    Line("!getfile export.json", "Here is the file you requested:"),
    Line("!getfile club", "Here is the file you requested:"),
    Line("!getfile /etc/passwd", "[file_not_found]"),
    Line("!mine", "[mining_not_permitted]", console="[no_history]"),
    Line(
        "!mine channel=#general,#support name=club since=2026-01-31",
        "[mining_not_permitted]",
        console="[no_history]",
    ),
    # --- training
    Line('!train "Sample training data" positive=True', STARTED),
    Line('!train "Sample training data" True', STARTED),
    Line("!train positive=True", STARTED, files=("data.json",)),
    Line("!import file=data.txt", "Dataset data@", files=("data.txt",)),
    Line("!train data=data.txt", STARTED, files=("data.txt",)),
    Line("!train file=examples/first-run.json", STARTED, files=("first-run.json",)),
    Line('!train "We meet on Fridays at eight." model=club', STARTED),
    Line("!train data=club,quay epochs=3", "[unknown_dataset]"),
    Line("!train data=club start=main@2", "[unknown_model]"),
    Line("!train", STARTED),
    Line("!job k7f3m2qxab", "cancel"),
    Line("!jobs", "cancel"),
    Line("!logs k7f3m2qxab", A_JOB),
    Line("!pause k7f3m2qxab", "[job_ended]"),
    Line("!resume k7f3m2qxab", "[job_ended]"),
    Line("!cancel k7f3m2qxab", "[job_ended]"),
    Line("!keep k7f3m2qxab", "[no_model]"),
    Line("!mimic @ada", "[unknown_person]", console="[no_history]"),
    Line("!mimic @ada channel=#general epochs=3", "[unknown_person]", console="[no_history]"),
    # --- models
    Line("!models", "base"),
    Line("!use base", "The base model answers now."),
    Line("!use main@1", "[unknown_model]"),
    Line("!use main@previous", "[unknown_model]"),
    Line("!rollback", "[nothing_to_roll_back]"),
    Line("!rollback main", "[unknown_model]"),
    # --- what is chosen
    Line("!settings max_tokens 2", "max_tokens from now on: 2"),
    Line("!settings", "max_tokens"),
    Line("!settings temperature 0.7 here=yes", "temperature from now on: 0.7", console="[no_channel]"),
    Line("!settings language de here=yes", "language from now on: de", console="[no_channel]"),
    Line("!settings listen on", "listen from now on: on", console="[no_channel]"),
    Line("!settings train @Teachers", "[unknown_role]", console="[no_people]"),
    Line("!settings quota questions 20", "20 questions an hour", console="[no_people]"),
    Line("!settings reset temperature", "temperature from now on"),
    Line('!persona "You are the cat of a café."', "You are the cat of a café."),
    Line("!persona here=yes You are a pirate.", "You are a pirate.", console="[no_channel]"),
    Line("!persona clear", "You are a pirate.", console="No persona is set"),
    Line('!examples add "When do you open?" "At eight."', "1 example"),
    Line("!examples add user: Wifi? bot: No wifi.", "2 examples"),
    Line("!examples add file=data.json", "examples", files=("data.json",)),
    Line("!examples remove 1", "Example 1 is gone"),
    Line("!examples clear", "No examples"),
    # --- talking
    Line("!regenerate", "[nothing_to_regenerate]"),
    Line("!ask When do you open?", AI, console="", answer=True),
    Line("!ask model=main@2 When do you open?", "[unknown_model]"),
    Line("!ask temperature=0.7 top_p=0.9 n=3 What is on the menu?", "**3**", console="", answer=True),
    Line('!compare main@1 main@2 "When do you open?"', "[nobody_answered]"),
    Line("!compare main@2 base When do you open?", "[unknown_model]"),
    Line("!qa When do you open?", "(from starter)", answer=True),
    Line("!qa Wifi?", "(from the dataset club@"),
    Line('!send_message "When do you open?"', AI, console="", answer=True),
    Line("!regenerate temperature=1.2", AI, console="", answer=True),
    Line("!ask temperature=0 When do you open?", CUT_OFF, answer=True),
    Line("!continue", AI, console="", answer=True),
    Line("!reset", "Persona and examples stay"),
    # --- judging
    Line("!send_message Wifi?", AI, console="", answer=True),
    Line("!feedback up", "Noted"),
    Line('!feedback "It could be shorter."', "Thank you for your feedback."),
    Line("!correct We open at eight.", "Correction received: We open at eight."),
    Line('!correct 1234567890123456789 "We open at eight."', "Correction received: We open at eight."),
    Line(
        "!correct https://discord.com/channels/@me/1/1234567890123456789 Yes.",
        "[unknown_reply]",
        console="Correction received",
    ),
    Line("!correct 1000000000000000001 Yes.", "[unknown_reply]"),
    Line("!review", "!review approve"),
    Line("!review approve 1234567890123456789", "Approved: 1 answer."),
    Line("!review reject all", "[nothing_to_review]"),
    # --- testing
    Line("!test " + '[{"text": "When do you open?", "expected": "At seven."}]', "Test complete. Predictions"),
    Line(f"!test '[{RECORD}]'", "Test complete. Predictions"),
    Line(f"!test test_data='[{RECORD}]'", "Test complete. Predictions"),
    Line(f"!test ```json\n{RECORD}\n```", "Test complete. Predictions"),
    Line("!test not json", "[invalid_test_data]"),
    Line("!test file=records.json model=club@2", "[unknown_model]", files=("records.json",)),
    Line('!test {"prompt": "Wifi?"} bare=yes', "Test complete. Predictions"),
    Line("!errors", "Wifi?"),
    Line("!errors model=club@2 count=10", "No test of club@2 has gone wrong here"),
    Line("!errors to=errors.json", "errors.json"),
    # --- speech
    Line("!say We sail at dawn.", ".ogg"),
    Line("!say Guten Morgen! language=de to=morning.ogg", "morning.ogg"),
    Line("!transcribe file=morning.ogg", "[unreadable_audio]", files=("morning.ogg",)),
    Line("!transcribe file=morning.ogg language=de", "[unreadable_audio]", files=("morning.ogg",)),
    Line("!sound file=morning.ogg", "[unreadable_audio]", console="[no_voice]", files=("morning.ogg",)),
    Line("!join", "[not_in_voice]", console="[no_voice]"),
    Line("!leave", "I am in no voice channel", console="[no_voice]"),
    Line("!skip", "I am saying nothing", console="[no_voice]"),
    Line("!stop", "I am saying nothing", console="[no_voice]"),
    # --- trust, and the end
    Line("!privacy", "You have not said anything"),
    Line("!privacy optout", "You are opted out"),
    Line("!privacy delete", "This deletes your words"),
    Line("!delete_dataset club", "This deletes club with all its versions"),
)


class Course:
    """All lines in one form, in order."""

    def __init__(self, name: str, form: Form, chorus: Chorus, guild: str) -> None:
        self.name = name
        self._form, self._chorus, self._guild = form, chorus, guild
        self._job, self._reply = A_JOB, AN_ANSWER
        self.said: dict[str, str] = {}

    async def run(self) -> None:
        """Give them; of trainings it is enough that they begin."""
        for line in LINES:
            shown = await self._answer(line)
            self.said[line.text] = shown.replace(self._job, A_JOB)
            if started := JOB.search(shown):
                self._job = started[1]
                await self._chorus.jobs.cancel(self._guild, self._job)

    async def _answer(self, line: Line) -> str:
        """What is shown once it says what it should, or refuses, or time is up."""
        text = line.text.replace(A_JOB, self._job).replace(AN_ANSWER, self._reply)
        wanted = line.expected(self.name).replace(A_JOB, self._job)
        shown = await self._form.give(text.replace("examples/", ""), line.attachments)
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN):
                while not shown().strip() or wanted not in shown():
                    await asyncio.sleep(0.01)
                while line.answer and not self._form.is_whole():
                    await asyncio.sleep(0.01)
        if line.text.startswith("!send_message"):
            await self._note_answer()
        return shown()

    async def _note_answer(self) -> None:
        """It can be judged once it is kept, a moment after it was shown."""
        self._reply = self._form.reply()
        async with asyncio.timeout(WITHIN):
            while await self._chorus.replies.find(self._guild, self._reply) is None:
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
async def said(
    chorus: RunningChorus, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[tuple[str, str], str]]:
    """All that was said, by form and line."""
    async with running_discord() as discord:
        (one, here, first), (other, there, second) = discord.guild("typed"), discord.guild("slashed")
        async with present(chorus, discord) as commands:
            alone, folder = fresh_guild(), tmp_path_factory.mktemp("terminal")
            terminal = Terminal(commands, alone, folder)
            courses = [
                Course("typed", Typed(discord, here, first), commands, one.id),
                Course("slashed", Slashed(discord, there, second), commands, other.id),
                Course("console", terminal, commands, alone),
            ]
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)  # where the console saves what it is handed
                await asyncio.gather(*(course.run() for course in courses))
            await terminal.leave()
        yield {(course.name, line): text for course in courses for line, text in course.said.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.text)
def test_a_documented_line_is_answered_as_it_is_documented(
    said: Mapping[tuple[str, str], str], line: Line, form: str
) -> None:
    text, wanted = said[form, line.text], line.expected(form)
    assert text.strip()
    assert wanted in text
    assert (code(text) is None) != wanted.startswith("[")


def test_every_command_is_among_them_with_all_its_examples() -> None:
    examples = {line for command in COMMANDS.values() for line in command.examples}
    given = {line.text for line in LINES}
    assert examples <= given
    assert set(COMMANDS) == {text.removeprefix(PREFIX).split()[0] for text in given}

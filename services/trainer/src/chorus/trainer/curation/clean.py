"""What people said, as it should be learned: the words stay, in any script; Discord's markup does not.

    https://example.org/x      <link>            nobody learns an address by heart on purpose
    <@200>  <@!200>  @Alice    @u3  @someone     whoever is meant, as they are called in the examples
    <#300>  <@&400>            #channel  @role
    <:pog:500>  <a:pog:500>    :pog:
    <t:1700000000:R>           <time>

Most messages are short and plain, so each rewrite hides behind a test that costs some 30 ns.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.speakers import LONGEST_NAME
from chorus.trainer.curation.card import BOT, COMMAND, TOO_SHORT, Tally
from chorus.trainer.curation.duplicates import Duplicates
from chorus.trainer.curation.gather import BATCH, Tell
from chorus.trainer.curation.records import EMPTY, Message
from chorus.trainer.curation.speakers import Speakers

_LINK = re.compile(r"<?\bhttps?://[^\s<>]+[^\s<>.,;:!?'\"()\]]/?>?", re.IGNORECASE)
_MARKUP = re.compile(
    r"<(?:(?P<user>@!?)(?P<id>\d+)"
    r"|(?P<role>@&)\d+"
    r"|(?P<channel>#)\d+"
    r"|a?(?P<emoji>:\w+:)\d+"
    r"|(?P<time>t:)-?\d+(?::[a-zA-Z])?)>"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BLANKS = re.compile(r"[ \t]{2,}|\t")
_LINE_ENDS = re.compile(r" ?\n(?: ?\n)* ?")
_CODE = "```"  # blanks mean something in code

# `!play`, `/roll 20`, `.help`, `-skip`, `$balance`, `?rank`, and not `...`, `?!`, `- an item`, `-5`, `/s`,
# `/home/me`, `$AAPL`: after the first sign a word, in lower case but for `!`, and then a blank or nothing.
_COMMAND = re.compile(r"(?:![^\W\d_]\w*|/[a-z][\w-]+|[.$?-][a-z]\w+)(?=\s|$)")


def sift(
    messages: Sequence[Message], speakers: Speakers, options: BuildOptions, tally: Tally, tell: Tell
) -> list[Message]:
    """The messages that can be learned, with their text cleaned; why others are dropped is counted."""
    duplicates = Duplicates() if options.duplicates == "drop" else None
    kept: list[Message] = []
    for start in range(0, len(messages), BATCH):
        fit = _fit(messages[start : start + BATCH], speakers, options, tally)
        if duplicates is None:
            kept += fit
        else:
            reasons = duplicates.flags([message.text for message in fit])
            for message, reason in zip(fit, reasons, strict=True):
                if reason is None:
                    kept.append(message)
                else:
                    tally.drop(reason)
        tell("cleaning", min(start + BATCH, len(messages)))
    return kept


def is_command(text: str) -> bool:
    """Whether this speaks to a bot."""
    return text[:1] in "!/.$?-" and _COMMAND.match(text) is not None


def clean(text: str, speakers: Speakers) -> str:
    """The text with its markup in words, normalised (NFC), without control characters and needless blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "://" in text:
        text = _LINK.sub("<link>", text)
    if "@" in text and speakers.by_name:
        text = _without_names(text, speakers.by_name)
    if "<" in text:
        text = _MARKUP.sub(_in_words(speakers), text)
    if not text.isprintable():  # line ends among other things
        text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if _CODE not in text:
        if "  " in text or "\t" in text:
            text = _BLANKS.sub(" ", text)
        if "\n" in text:
            text = _LINE_ENDS.sub(lambda ends: "\n\n"[: ends[0].count("\n")], text)
    return text.strip()


def _fit(
    messages: Sequence[Message], speakers: Speakers, options: BuildOptions, tally: Tally
) -> list[Message]:
    fit: list[Message] = []
    for message in messages:
        if message.is_bot and not options.bots:
            tally.drop(BOT)
            continue
        message.text = text = clean(message.text, speakers)
        if not text:
            tally.drop(EMPTY.reason)
        elif is_command(text):
            tally.drop(COMMAND)
        elif options.min_words and len(text.split()) < options.min_words:
            tally.drop(TOO_SHORT)
        else:
            fit.append(message)
    return fit


def _in_words(speakers: Speakers) -> Callable[[re.Match[str]], str]:
    def word(found: re.Match[str]) -> str:
        if found["user"]:
            return f"@{speakers.mention(found['id'])}"
        if found["emoji"]:
            return found["emoji"]
        return "#channel" if found["channel"] else "@role" if found["role"] else "<time>"

    return word


def _without_names(text: str, by_name: dict[str, str]) -> str:
    """`@Alice A.` as `@u3`, for exporters write mentions out; the longest name that fits is meant."""
    first, *rest = text.split("@")
    said = [first]
    for part in rest:
        name = None if said[-1][-1:].isalnum() else _name_at_start(part, by_name)  # no e-mail address
        said.append(part if name is None else by_name[name.casefold()] + part[len(name) :])
    return "@".join(said)


def _name_at_start(text: str, by_name: dict[str, str]) -> str | None:
    for end in range(min(len(text), LONGEST_NAME), 0, -1):
        if not text[end : end + 1].isalnum() and text[:end].casefold() in by_name:
            return text[:end]
    return None

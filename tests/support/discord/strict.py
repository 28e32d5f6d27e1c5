"""What Discord would not take of what is to be pressed, filled in or listed: each says why, or None."""

import base64
import re
from collections.abc import Sequence

from tests.support.discord.world import Attachment, Payload

ROW, BUTTON, TEXT_INPUT, LABEL = 1, 2, 4, 18
TYPES_OF_OPTIONS = {3, 4, 5, 6, 7, 8, 9, 10, 11}
SLASH, MESSAGE_MENU = 1, 3
NAME = re.compile(r"[-_a-z0-9]{1,32}")


def components_wrong(rows: Sequence[Payload]) -> str | None:
    """Rows of buttons below a message."""
    if len(rows) > 5:
        return f"a message has {len(rows)} rows of buttons"
    buttons: list[Payload] = []
    for row in rows:
        if row["type"] != ROW or not 1 <= len(row["components"]) <= 5:
            return f"no row of one to five buttons: {row}"
        buttons += row["components"]
    ids = [button.get("custom_id", "") for button in buttons]
    if len(set(ids)) < len(ids):
        return f"two buttons have the same id: {ids}"
    return next((f"no button: {button}" for button in buttons if not _is_button(button)), None)


def _is_button(button: Payload) -> bool:
    said = button.get("label") or button.get("emoji")
    return (
        button["type"] == BUTTON
        and 1 <= button["style"] <= 4
        and 1 <= len(button["custom_id"]) <= 100
        and bool(said)
        and len(button.get("label") or "") <= 80
    )


def voice_message_wrong(body: Payload, files: Sequence[Attachment]) -> str | None:
    """A message that is to be heard."""
    if body.get("content") or body.get("embeds") or body.get("components"):
        return f"a voice message has more than its sound: {body}"
    if len(files) != 1 or not files[0].content_type.startswith("audio/"):
        return f"a voice message has no one sound: {[(file.name, file.content_type) for file in files]}"
    seconds, points = files[0].about.get("duration_secs"), files[0].about.get("waveform", "")
    if not isinstance(seconds, int | float) or not 0 < seconds <= 1200:
        return f"a voice message lasts {seconds} s"
    size = len(base64.b64decode(points, validate=True))
    return None if 1 <= size <= min(256, max(1, int(seconds * 10) + 1)) else f"a waveform has {size} points"


def form_wrong(form: Payload) -> str | None:
    """A form with its fields."""
    if not (1 <= len(form["title"]) <= 45 and 1 <= len(form["custom_id"]) <= 100):
        return f"a form's title or id is too long or empty: {form}"
    if not 1 <= len(form["components"]) <= 5:
        return f"a form has {len(form['components'])} fields"
    for label in form["components"]:
        field = label.get("component", {})
        if label["type"] != LABEL or not 1 <= len(label["label"]) <= 45 or field.get("type") != TEXT_INPUT:
            return f"no field below a label: {label}"
        if len(field.get("value") or "") > field.get("max_length", 4000) or field["style"] not in (1, 2):
            return f"no text field: {field}"
    return None


def commands_wrong(commands: Sequence[Payload]) -> str | None:
    """All that an application lists."""
    slashes = [command for command in commands if command.get("type", SLASH) == SLASH]
    menus = [command for command in commands if command.get("type", SLASH) != SLASH]
    if len(slashes) > 100 or len(menus) > 15:
        return f"{len(slashes)} slash commands and {len(menus)} menus are too many"
    names = [(command.get("type", SLASH), command["name"]) for command in commands]
    if len(set(names)) < len(names):
        return f"two commands have one name: {names}"
    if unfit := next((menu for menu in menus if not 1 <= len(menu["name"]) <= 32), None):
        return f"no menu: {unfit}"
    return next((why for command in slashes if (why := _command_wrong(command))), None)


def _command_wrong(command: Payload) -> str | None:
    options = command.get("options", [])
    required = [option.get("required", False) for option in options]
    if required != sorted(required, reverse=True):
        return f"/{command['name']} has an option that is required after one that is not"
    if len(options) > 25 or len({option["name"] for option in options}) < len(options):
        return f"/{command['name']} has too many options, or one twice"
    choices = [choice for option in options for choice in option.get("choices", ())]
    total = sum(len(part["name"]) + len(part["description"]) for part in (command, *options))
    if total + sum(len(choice["name"]) + len(str(choice["value"])) for choice in choices) > 8000:
        return f"/{command['name']} has more than 8000 characters"
    unfit = [part for part in (command, *options) if not _is_described(part)]
    unfit += [option for option in options if not _is_option(option)]
    return f"no option: {unfit[0]}" if unfit else None


def _is_described(part: Payload) -> bool:
    return bool(NAME.fullmatch(part["name"])) and 1 <= len(part["description"]) <= 100


def _is_option(option: Payload) -> bool:
    choices = option.get("choices", [])
    named = all(1 <= len(choice["name"]) <= 100 for choice in choices)
    return option["type"] in TYPES_OF_OPTIONS and len(choices) <= 25 and named

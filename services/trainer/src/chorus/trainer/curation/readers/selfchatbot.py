"""A dataset folder of selfchatbot: exports in folders named after their format, and how to read them.

    Dataset_1_Name/parameters.json            // comments are allowed
    Dataset_1_Name/DiscordChatExporter/*.txt

`username` is whose replies are learned and `max_length` how long an example gets: they become defaults of the
build. Exports that lie beside the parameters are read, too. The model and the kind of fine-tuning are
checked, and left to the training.
"""

import json
import re
from collections.abc import Sequence

from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.readers.folder import Files, FolderReader, Plan, base, parent

PARAMETERS = "parameters.json"
FORMATS = ("DiscordChatExporter",)
_EXPORTS = (".txt", ".json", ".csv")
_KEYS = ("model", "type_fine_tune", "max_length", "preprocessor_data")
_FINE_TUNES = ("lora", "qlora", "fine_tune", "finetune")
_LENGTHS = range(32, 32768 + 1)  # what `BuildOptions.max_tokens` takes
_PARAMETERS_BYTES = 64 * 1024
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*')

Fields = dict[str, object]


def _takes(names: Sequence[str]) -> set[str]:
    parameters = min((name for name in names if base(name) == PARAMETERS), key=len, default=None)
    if parameters is None:
        return set()
    root = parent(parameters)
    taken = {name for name in names if name.startswith(root)}
    inside = [name.removeprefix(root) for name in taken]  # alone, or beside other JSON, it may be a chat
    return taken if any("/" in name or name.lower().endswith(".txt") for name in inside) else set()


def _plan(files: Files, taken: set[str]) -> Plan:
    name = min((name for name in taken if base(name) == PARAMETERS), key=len)
    if any(base(other) == PARAMETERS and other not in taken for other in files.names):
        raise _wrong("there is more than one dataset: send one at a time", "several_datasets")
    with files.open(name) as source:
        if source.size > _PARAMETERS_BYTES:
            raise _wrong(f"{source.name} is longer than {_PARAMETERS_BYTES:,} bytes")
        defaults, formats = _defaults(_parsed("\n".join(source.lines())))
    parts: list[str] = []
    for file in files.names:
        folder, inside, _ = file.removeprefix(parent(name)).partition("/")
        if file not in taken or (not inside and not _is_export(file)):
            continue
        if inside:
            _check(folder, formats, "folder")
        parts.append(file)
    return Plan(((file, None) for file in parts), defaults)


def _is_export(file: str) -> bool:
    return file.lower().endswith(_EXPORTS) and base(file) != PARAMETERS


def _parsed(text: str) -> Fields:
    try:
        fields = json.loads(_STRING_OR_COMMENT.sub(lambda found: found[1] or "", text))
    except (ValueError, RecursionError) as error:
        raise _wrong(f"{PARAMETERS} is not JSON ({error})", "broken_json") from None
    return _object(fields, PARAMETERS)


def _defaults(fields: Fields) -> tuple[Fields, Sequence[str]]:
    """What the parameters say about the build, and which formats they tell of."""
    for key in fields:
        _check(key, _KEYS, "key")
    kind = fields.get("type_fine_tune", _FINE_TUNES[0])
    _check(str(kind), _FINE_TUNES, "type_fine_tune")
    defaults: Fields = {}
    length = fields.get("max_length")
    if length is not None:
        if not isinstance(length, int) or length not in _LENGTHS:
            raise _wrong(f"`max_length` in {PARAMETERS} has to be between {_LENGTHS[0]} and {_LENGTHS[-1]}")
        defaults["max_tokens"] = length
    formats = _object(fields.get("preprocessor_data", {}), "preprocessor_data")
    for name, block in formats.items():
        _check(name, FORMATS, "preprocessor")
        for key, value in _object(block, name).items():
            _check(key, ("username",), f"key of {name}")
            if not isinstance(value, str) or not 0 < len(value) <= 100:
                raise _wrong(f"`username` in {PARAMETERS} has to be a name")
            defaults["target"] = value
    return defaults, list(formats) or FORMATS


def _object(value: object, name: str) -> Fields:
    if not isinstance(value, dict):
        raise _wrong(f"{name} has to be a JSON object")
    return value


def _check(value: str, known: Sequence[str], what: str) -> None:
    if value not in known:
        raise _wrong(f'"{in_short(value)}" is no known {what}: known are {", ".join(known)}')


def _wrong(what: str, code: str = "wrong_parameters") -> InvalidInput:
    return InvalidInput(f"This folder of selfchatbot cannot be read: {what}.", code=code, param="file")


SELFCHATBOT = FolderReader("selfchatbot folder", _takes, _plan)

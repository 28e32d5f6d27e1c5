"""The base model: where it is, what exactly it is, and what Chorus knows of it.

`CHORUS_BASE_MODEL` is `starter` (the toy that ships with Chorus), a local folder, or the name of a
model on the Hugging Face hub. A model that cannot be had is an error, never another model.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from chorus.common.contracts.models import BaseModelId
from chorus.common.errors import Misconfigured

STARTER = "starter"
STARTER_FOLDER = Path(__file__).parent / "starter"

WRITES_TEXT = ("ForCausalLM", "LMHeadModel")  # how transformers names such classes
HEADER = struct.Struct("<Q")  # a safetensors file begins with the size of its header

WHOLE_UP_TO = 64 * 1024 * 1024  # bytes of weights that are hashed whole

HUB_PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no pickles


class Facts(BaseModel):
    """`chorus.json` in a model's folder: what Chorus should know of it. Other models have none."""

    label: str | None = None
    """What people are told it is."""
    remembers: int | None = Field(default=None, ge=0)
    """How many earlier messages it can make use of; none stated, as many as fit."""


@dataclass(frozen=True)
class BaseModelFiles:
    """A base model on this machine's disk."""

    id: BaseModelId
    folder: Path
    facts: Facts

    @property
    def label(self) -> str:
        """What people are told it is."""
        return self.facts.label or self.id.name


def find(name: str) -> BaseModelFiles:
    """The base model called `name`, fetched if it has to be. Raises `Misconfigured` if it cannot be had."""
    folder = STARTER_FOLDER if name == STARTER else Path(name).expanduser()
    if name != STARTER and not folder.is_dir():
        folder = _fetch(name)
    if not (folder / "config.json").is_file():
        raise Misconfigured(f"CHORUS_BASE_MODEL: {name!r} has no config.json; it is not a model's folder.")
    if not list(folder.glob("*.safetensors")):
        raise Misconfigured(
            f"CHORUS_BASE_MODEL: {name!r} has no *.safetensors, the only format that is loaded."
        )
    _check_writes_text(name, folder / "config.json")
    return BaseModelFiles(
        BaseModelId(name=shown_name(name), fingerprint=fingerprint(folder)), folder, _facts(folder)
    )


def shown_name(name: str) -> str:
    """What people call the base model `name`: of a folder its last part, for paths are the machine's own."""
    folder = Path(name).expanduser()
    return folder.resolve().name if name != STARTER and folder.is_dir() else name


def config_of(name: str) -> dict[str, object] | None:
    """The configuration of the base model `name`, if it is on this machine: nothing is fetched."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    folder = STARTER_FOLDER if name == STARTER else Path(name).expanduser()
    try:
        path = folder / "config.json" if folder.is_dir() else try_to_load_from_cache(name, "config.json")
        return json.loads(Path(path).read_text("utf-8")) if isinstance(path, (str, Path)) else None
    except (HFValidationError, OSError, ValueError):
        return None


def _check_writes_text(name: str, config: Path) -> None:
    """Refuse what reads images or makes embeddings: transformers names what a model is made for."""
    try:
        kinds = [str(kind) for kind in json.loads(config.read_text("utf-8")).get("architectures") or []]
    except (ValueError, AttributeError) as error:
        raise Misconfigured(f"CHORUS_BASE_MODEL: {name!r} has a broken config.json: {error}.") from None
    if not any(kind.endswith(WRITES_TEXT) for kind in kinds):
        found = ", ".join(kinds) or "without a stated architecture"
        raise Misconfigured(
            f"CHORUS_BASE_MODEL: {name!r} does not write text (it is {found}). Name a causal language model."
        )


def fingerprint(folder: Path) -> str:
    """sha256 over what makes the model: configuration, tokenizer and weights.

    Of a large safetensors file only the header (each tensor's name, shape and place) and the size are
    hashed: reading 16 GB at each start would take minutes.
    """
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (folder / name).is_file():
            digest.update(name.encode() + (folder / name).read_bytes())
    for weights in sorted(folder.glob("*.safetensors")):
        size = weights.stat().st_size
        with weights.open("rb") as file:
            if size < HEADER.size:
                raise Misconfigured(f"CHORUS_BASE_MODEL: {weights.name} is cut off. Get the model again.")
            (header,) = HEADER.unpack(file.read(HEADER.size))
            told = file.read(size if size <= WHOLE_UP_TO else min(header, WHOLE_UP_TO))
        digest.update(f"{weights.name} {size} ".encode() + told)
    return digest.hexdigest()


def _facts(folder: Path) -> Facts:
    path = folder / "chorus.json"
    if not path.is_file():
        return Facts()
    try:
        return Facts.model_validate(json.loads(path.read_text("utf-8")))
    except (ValueError, ValidationError) as error:
        raise Misconfigured(f"CHORUS_BASE_MODEL: {path.name} cannot be read: {error}") from None


def _fetch(name: str) -> Path:
    """A model of the hub, from the cache or the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_PATTERNS))
    except HFValidationError:
        why = "it is neither a folder nor the name of a model"
    except LocalEntryNotFoundError:
        why = "it is not on this machine, and huggingface.co cannot be reached"
    except (HfHubHTTPError, OSError) as error:
        why = str(error).splitlines()[0]
    raise Misconfigured(
        f"CHORUS_BASE_MODEL: {name!r} cannot be had: {why}. Name a folder, another model, or `starter`."
    )

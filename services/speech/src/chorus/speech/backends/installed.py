"""What the operator brings for an engine: its package, and the folder of its model."""

from importlib import import_module
from pathlib import Path
from typing import Any

from chorus.common.errors import Misconfigured


def package(engine: str, module: str, name: str, *, setting: str = "CHORUS_STT_ENGINES") -> Any:
    """The engine's module. Raises `Misconfigured` where its package is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"{setting}: {engine} needs the package {name}, and {error.name} is not installed. "
            f"Run `pip install {name}`, or take {engine} out."
        ) from None


def model_folder(engine: str, folder: str, *, holds: tuple[str, ...]) -> None:
    """Raises `Misconfigured` unless it is a folder in which such a model's files are."""
    missing = [name for name in holds if not (Path(folder) / name).exists()]
    if not folder or missing:
        raise Misconfigured(
            f"CHORUS_{engine.upper()}_MODEL: this is no folder with a model for {engine}"
            f"{f': it has no {missing[0]}' if folder else ''}. Name the folder of one, or take {engine} "
            "out of CHORUS_STT_ENGINES."
        )

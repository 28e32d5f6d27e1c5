"""Options of a build and of a training, as parameters of commands: the contracts have the only list."""

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, field_validator, model_validator

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.gateway.commands.parsing import Parameters

SHARED = frozenset(BuildOptions.model_fields)
"""Names of a build's options; the help explains them once."""


class BuildParameters(BuildOptions, Parameters):
    """For commands that build a dataset: all of `BuildOptions`, by the same names."""

    @property
    def is_choosy(self) -> bool:
        """Whether any of the options was given."""
        return bool(SHARED & self.model_fields_set)

    def options(self, otherwise: BuildOptions | None = None) -> BuildOptions:
        """The options that were given; the rest as in `otherwise`, or by default."""
        given = {name: getattr(self, name) for name in SHARED & self.model_fields_set}
        return (otherwise or BuildOptions()).model_copy(update=given)


class TrainingParameters(Hyperparameters, Parameters):
    """For commands that train: all of `Hyperparameters`, by the same names."""

    @model_validator(mode="before")
    @classmethod
    def _auto_is_left_out(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`auto` is taken for each of them, also for those where everybody wants the same."""
        automatic = {name for name in Hyperparameters.model_fields if values.get(name) == "auto"}
        return {name: value for name, value in values.items() if name not in automatic}

    @field_validator("rank", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """One of a few numbers, which pydantic does not read from text by itself."""
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    def hyperparameters(self, **otherwise: object) -> Hyperparameters:
        """The wishes that were given; the rest as in `otherwise`, or by default."""
        names = self.model_fields_set & set(Hyperparameters.model_fields)
        return Hyperparameters.model_validate({**otherwise, **{name: getattr(self, name) for name in names}})


def explained(model: type[BaseModel], names: frozenset[str]) -> list[str]:
    """A line for each of these parameters, in the order in which they are declared."""
    lines = []
    for name, field in model.model_fields.items():
        if name in names:
            told = " ".join((field.description or "").split())
            choices = " or ".join(_choices(field.annotation))
            lines.append(f"  {name}=   {': '.join(part for part in (choices, told) if part)}")
    return lines


def _choices(annotation: Any) -> list[str]:
    """What may stand there, where it is one of a few words."""
    if get_origin(annotation) is Literal:
        return [f"`{choice}`" for choice in get_args(annotation)]
    parts = get_args(annotation)
    words = [choice for part in parts for choice in _choices(part)]
    if words and bool in parts:
        words += ["`yes`", "`no`"]
    elif words and any(get_origin(part) is Annotated for part in parts):
        words += ["a number"]
    return words

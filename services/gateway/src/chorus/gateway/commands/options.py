"""The options of a build, as parameters of commands: one list of them, that of the contract."""

from pydantic import BaseModel

from chorus.common.contracts.datasets import BuildOptions
from chorus.gateway.commands.parsing import Parameters

SHARED = frozenset(BuildOptions.model_fields)
"""Names of these options; the help explains them once."""


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


def explained(model: type[BaseModel], names: frozenset[str]) -> list[str]:
    """A line for each of these parameters, in the order in which they are declared."""
    lines = []
    for name, field in model.model_fields.items():
        if name in names:
            told = " ".join((field.description or "").split())
            choices = " or ".join(_choices(field.annotation))
            lines.append(f"  {name}=   {': '.join(part for part in (choices, told) if part)}")
    return lines


def _choices(annotation: object) -> list[str]:
    """What a `Literal` may be."""
    return [f"`{choice}`" for choice in getattr(annotation, "__args__", ()) if isinstance(choice, str)]

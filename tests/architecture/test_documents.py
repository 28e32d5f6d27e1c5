"""What the documents say is true: generated ones are fresh, links lead somewhere, commands exist."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from scripts import make_docs

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
GENERATED = make_docs.documents()
GUIDES = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("name", GENERATED)
def test_generated_documents_are_fresh(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == GENERATED[name], f"{name} is out of date: `make docs`"


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text("utf-8"))
    for reference in re.findall(r"'#/([^']+)'", (ROOT / "docs/asyncapi.yaml").read_text("utf-8")):
        here = document
        for step in reference.split("/"):
            here = here[step]


@pytest.mark.parametrize("path", DOCUMENTS, ids=shown)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{shown(path)} links to {target}"


def test_commands_in_the_guides_exist() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for name in GUIDES:
        text = (ROOT / name).read_text("utf-8")
        asked = set(re.findall(r"(?:^|`|\s)make ([a-z-]+)(?=[`\s<,.;:)]|$)", " ".join(code(text))))
        assert asked <= verbs, f"{name} names verbs that the Makefile lacks: {asked - verbs}"


def test_files_named_in_the_guides_exist() -> None:
    for name in GUIDES:
        text = (ROOT / name).read_text("utf-8")
        for path in re.findall(
            r"`((?:libs|services|scripts|tests|docs|examples|requirements)/[\w./-]+)`", text
        ):
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_the_makefile_tells_its_verbs() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for verb in ("run", "test", "check", "bench", "clean"):
        assert re.search(rf"make {verb}\s+\w", told)


def test_every_adr_is_listed() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text("utf-8")
    for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md")):
        assert path.name in listed, f"docs/adr/README.md does not list {path.name}"


def code(text: str) -> list[str]:
    """What stands in code blocks and between backticks."""
    blocks = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL)
    return [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))]

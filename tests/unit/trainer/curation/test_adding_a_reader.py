"""The page about new readers: its reader is run on its sample, and stands where it says."""

import re
from pathlib import Path

import pytest

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.readers.table import FILES
from chorus.trainer.curation.reading import detect
from chorus.trainer.curation.records import EMPTY, Message
from tests.unit.trainer.curation.written import Written

PAGE = Path(__file__).parents[4] / "docs/adding-a-reader.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, f"no block of {language} in {PAGE.name}"
    return found[1]


@pytest.fixture
def reader() -> Reader:
    names: dict[str, object] = {}
    exec(block("python"), names)
    made = names["CHAT_LOG"]
    assert isinstance(made, Reader)
    return made


def test_its_reader_reads_its_sample(written: Written, reader: Reader) -> None:
    source = written.source(block("text"), "cats.txt")
    assert list(reader.read(source, BuildOptions())) == [
        Message("cats", "name:mira", "mira", "did anyone feed the cat?", at=1709327100.0, source="cats.txt"),
        Message("cats", "name:tom", "tom", "yes,\ntwice", at=1709327160.0, source="cats.txt"),
        EMPTY,
    ]


def test_it_is_found_where_the_page_puts_it(written: Written, reader: Reader) -> None:
    line = next(line for line in PAGE.read_text().splitlines() if line.startswith("FILES = "))
    named = re.findall(r"[A-Z_]{4,}", line.partition("=")[2])
    assert len(named) == len(FILES) + 1
    readers = list(FILES)
    readers.insert(named.index("CHAT_LOG"), reader)
    assert detect(written.source(block("text")), readers) is reader
    assert detect(written.source("[12:05] mira: hello"), readers) is FILES[-1]


def test_it_is_short() -> None:
    assert len(block("python").splitlines()) < 60
    code = [
        line
        for line in block("python").splitlines()
        if line.strip() and not line.startswith(('"""', "import", "from"))
    ]
    assert len(code) < 50

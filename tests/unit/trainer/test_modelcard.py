"""The model card: the hub can read it, people can act on it, and nobody's words or names are in it."""

from datetime import timedelta

import yaml

from chorus.common.contracts.datasets import Basis, Card, Dataset, Histogram, Source, Speaker
from chorus.common.contracts.models import BaseModelId
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import Parent
from chorus.trainer.training.modelcard import model_card
from tests.unit.trainer.made import AT, SHA256, a_job, made

REF = ObjectRef(bucket="datasets", key="1/x", size=1, sha256=SHA256)
CLUB = Dataset(
    guild="1",
    name="club",
    version=3,
    examples=REF,
    records=REF,
    people=REF,
    card=Card(
        format="Discord",
        read=2000,
        kept=1500,
        examples=1234,
        positive=1234,
        tokens=56789,
        lengths=Histogram(edges=[], counts=[]),
        speakers=[Speaker(name="Mara", messages=9)],
        people=12,
        first_at=AT,
        last_at=AT + timedelta(days=9),
        warnings=["Mara said: heliotrope"],
    ),
    sources=[Source(file=REF, filename="maras-letters.json")],
    basis=Basis(way="mined", mode="permitted", reference="R-17"),
    contributor="4242424242",
    created_at=AT,
)


def test_the_header_is_what_the_hub_reads() -> None:
    of_the_hub = BaseModelId(name="Qwen/Qwen3-0.6B", fingerprint=SHA256)
    header = yaml.safe_load(model_card(a_job(), made(base=of_the_hub), []).split("---")[1])
    assert header["base_model"] == "Qwen/Qwen3-0.6B"
    assert header["library_name"] == "peft"
    assert header["license"] == "other"
    assert "lora" in header["tags"]


def test_a_base_that_is_not_of_the_hub_is_named_in_the_text_alone() -> None:
    card = model_card(a_job(), made(), [])
    assert "base_model" not in yaml.safe_load(card.split("---")[1])
    assert "`starter`" in card


def test_it_says_what_was_learned_from_and_how_well() -> None:
    card = model_card(a_job(), made(), [CLUB])
    row = (
        "| club@3 | 1,234 | 56,789 | 12 | 2026-01-02 to 2026-01-11 | mined; mode permitted; permission R-17 |"
    )
    assert row in card
    assert "| fixes@1 | not listed any more |" in card
    assert "| base | 0 | 4.500 | 9.50 | 31.2 | 2 of 10 |" in card
    assert "| **epoch 2** | 20 | 0.250 |" in card
    assert "| learning_rate | 0.0005 |" in card
    assert "| seed | 7 |" in card
    assert "| chorus-trainer |" in card
    assert "| torch | 2." in card


def test_nobodys_name_or_words_are_in_it() -> None:
    card = model_card(a_job(parent=Parent(model="main@2", manifest=REF)), made(), [CLUB])
    assert "going on from main@2" in card
    for private in ("Mara", "maras-letters", "heliotrope", "4242424242", "42 "):
        assert private not in card


def test_a_whole_model_is_loaded_as_one() -> None:
    card = model_card(a_job(), made(form="whole", method="full", rank=0), [])
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"
    assert "PeftModel" not in card
    assert "vllm serve PATH/TO/main\n" in card

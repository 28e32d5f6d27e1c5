"""deploy/kubernetes/overlays/gpu and ha: a GPU where there are models, and room for the base model."""

import re
from typing import Any

import pytest

from chorus.inference.settings import InferenceSettings
from tests.deploy.test_kubernetes import environment, pods


def test_gpus_are_asked_for_where_there_are_models() -> None:
    for overlay in ("gpu", "ha"):
        for name, pod in pods(overlay).items():
            (container,) = pod["spec"]["containers"]
            wants = "nvidia.com/gpu" in container["resources"]["limits"]
            assert wants == (name in {"jobs", "inference"}) == container["image"].endswith("-gpu")


@pytest.mark.parametrize("overlay", ["gpu", "ha"])
def test_the_base_model_fits_where_it_is_needed(overlay: str) -> None:
    parts = pods(overlay)
    base = environment(overlay, parts["inference"])["CHORUS_BASE_MODEL"]
    billions = re.search(r"-(\d+)B$", base)
    assert billions
    model = 2.1 * int(billions[1])  # GB in bfloat16; "8B" is 8.2
    adapters = float(InferenceSettings.model_fields["adapters_on_disk"].default)
    compiled = 5.0
    assert room(parts["inference"], "cache") >= model + adapters + compiled
    assert room(parts["datasets"], "cache") >= 2 * model, "a merged model beside its base"
    assert room(parts["jobs"], "cache") >= 2 * model
    for name in ("datasets", "jobs", "inference"):
        limit = parts[name]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        assert gigabytes(limit) >= model + 4.0


def room(pod: dict[str, Any], volume: str) -> float:
    """GB that a pod may have there before it is evicted."""
    (found,) = (each["emptyDir"] for each in pod["spec"]["volumes"] if each["name"] == volume)
    return gigabytes(found["sizeLimit"])


def gigabytes(told: str) -> float:
    return int(told.removesuffix("Gi")) * 2**30 / 1e9

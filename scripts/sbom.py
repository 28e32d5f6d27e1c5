"""Write bills of materials: each package that runs, with version, hashes and licences, as CycloneDX JSON.

    python -m scripts.sbom sbom/       one file for each lock that something runs from: sbom/cpu.cdx.json, …

cpu.lock and gpu.lock are what one machine runs, `<service>[-cpu|-gpu].lock` is what that image runs. Licences
are those that the packages declare: the installed ones themselves, the others' metadata on the package index,
of which nothing is installed. They are made at a release, from that release's locks, and kept with it rather
than in the repository.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx import spdx
from packaging.utils import canonicalize_name
from scripts import lock, service_locks
from scripts.setup import LOCKS, locked

SPEC = "1.6"
LONGEST_NAME = 80  # signs; what is longer is the licence's text, and names nothing
CLASSIFIER = "License :: "

RUN = ("cpu", "gpu", *service_locks.IMAGES)
"""The locks that something runs from."""

DECLARED_ELSEWHERE = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",
    "espeakng-loader": "MIT AND GPL-3.0-or-later",  # the loader, and eSpeak NG's library in it
    "instanttensor": "Apache-2.0",
    "oss-harmony": "Apache-2.0",
    "quack-kernels": "Apache-2.0",
    "setuptools": "MIT",
    "tiktoken": "MIT",
    "tokenspeed-mla": "MIT",
    "torchcodec": "BSD-3-Clause",
}
"""Licences of packages whose metadata names none: from the texts that they carry, or their makers' pages."""

Told = Mapping[str, Mapping[str, Any]]
"""The metadata of packages, as PEP 566 has it in JSON, by `name==version`."""


def main() -> int:
    """Write them into the folder that the only argument names."""
    folder = Path(*sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    told = metadata_of({line.split()[0] for name in RUN for line in locked(LOCKS / f"{name}.lock")})
    for name in RUN:
        target = folder / f"{name}.cdx.json"
        target.write_text(bill(name, told), "utf-8")
        print(target)
    return 0


def metadata_of(pins: Iterable[str]) -> Told:
    """What packages say of themselves; what is not installed in this version, the index is asked for."""
    found: dict[str, Mapping[str, Any]] = {pin: installed(pin) for pin in pins}
    if missing := sorted(pin for pin, told in found.items() if not told):
        exact = [pin.replace("==", "===") for pin in missing]  # to `==` a local build is as good
        told = lock.report("--no-deps", *exact, held={})
        by_name = {canonicalize_name(each["name"]): each for each in told}
        found |= {pin: by_name[canonicalize_name(pin.partition("==")[0])] for pin in missing}
    return found


def installed(pin: str) -> Mapping[str, Any]:
    """The metadata of a package that is here in this version, else nothing."""
    name, _, pinned = pin.partition("==")
    try:
        return metadata(name).json if version(name) == pinned else {}
    except PackageNotFoundError:
        return {}


def bill(name: str, told: Told) -> str:
    """The document of one lock as JSON; the same lock and the same packages give the same one."""
    parts = [component(line, told) for line in locked(LOCKS / f"{name}.lock")]
    ours: dict[str, Any] = {
        "type": "application",
        "bom-ref": "chorus",
        "name": f"chorus-{name}",
        "version": version("chorus-common"),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": uuid5(NAMESPACE_URL, json.dumps([ours, parts])).urn,
        "version": 1,
        "metadata": {"component": ours},
        "components": parts,
        "dependencies": [{"ref": "chorus", "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    return json.dumps(document, indent=1) + "\n"


def component(line: str, told: Told) -> dict[str, Any]:
    """One line of a lock; any of the hashes is that of a file with this package."""
    pin, *hashes = line.split()
    name, _, pinned = pin.partition("==")
    url = f"pkg:pypi/{name}@{pinned.replace('+', '%2B')}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": pinned,
        "purl": url,
        "hashes": [{"alg": "SHA-256", "content": each.rpartition(":")[2]} for each in hashes],
        "licenses": [licence(words) for words in declared(name, told[pin])],
    }


def licence(words: str) -> dict[str, Any]:
    """As SPDX names it, where that is what the words say."""
    if known := spdx.fixup_id(words):
        return {"license": {"id": known, "acknowledgement": "declared"}}
    if spdx.is_expression(words):
        return {"expression": words, "acknowledgement": "declared"}
    return {"license": {"name": words, "acknowledgement": "declared"}}


def declared(name: str, told: Mapping[str, Any]) -> list[str]:
    """What a package says of its licence: an SPDX expression, a name, or classifiers."""
    named = str(told.get("license", "")).strip()
    if expression := told.get("license_expression") or DECLARED_ELSEWHERE.get(name):
        return [str(expression)]
    if named and "\n" not in named and len(named) <= LONGEST_NAME:
        return [named]
    classifiers = [each for each in told.get("classifier", []) if each.startswith(CLASSIFIER)]
    return [each.rpartition(" :: ")[2] for each in classifiers]


if __name__ == "__main__":
    sys.exit(main())

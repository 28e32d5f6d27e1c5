"""Write the bill of materials: each package that runs, with version, hashes and licences, as CycloneDX JSON.

    python -m scripts.sbom sbom.cdx.json

What stands in cpu.lock is listed; licences are those that the installed packages declare. It is made at a
release, from that release's lock, and kept with it rather than in the repository.
"""

import json
import sys
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx import spdx
from scripts.setup import LOCKS, locked

SPEC = "1.6"
LONGEST_NAME = 80  # signs; what is longer is the licence's text, and names nothing
CLASSIFIER = "License :: "

DECLARED_ELSEWHERE = {
    "espeakng-loader": "MIT AND GPL-3.0-or-later",  # the loader, and eSpeak NG's library in it
    "oss-harmony": "Apache-2.0",
    "setuptools": "MIT",
    "tiktoken": "MIT",
}
"""Licences of packages whose metadata names none: from the texts that they carry, or their makers' pages."""


def main() -> int:
    """Write it where the only argument says."""
    (target,) = sys.argv[1:]
    Path(target).write_text(bill(), "utf-8")
    print(target)
    return 0


def bill() -> str:
    """The document as JSON; the same lock and the same packages give the same one."""
    parts = [component(line) for line in locked(LOCKS / "cpu.lock")]
    ours: dict[str, Any] = {
        "type": "application",
        "bom-ref": "chorus",
        "name": "chorus",
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


def component(line: str) -> dict[str, Any]:
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
        "licenses": [licence(words) for words in declared(name)],
    }


def licence(words: str) -> dict[str, Any]:
    """As SPDX names it, where that is what the words say."""
    if known := spdx.fixup_id(words):
        return {"license": {"id": known, "acknowledgement": "declared"}}
    if spdx.is_expression(words):
        return {"expression": words, "acknowledgement": "declared"}
    return {"license": {"name": words, "acknowledgement": "declared"}}


def declared(name: str) -> list[str]:
    """What an installed package says of its licence: an SPDX expression, a name, or classifiers."""
    told = metadata(name).json
    named = str(told.get("license", "")).strip()
    if expression := told.get("license_expression") or DECLARED_ELSEWHERE.get(name):
        return [str(expression)]
    if named and "\n" not in named and len(named) <= LONGEST_NAME:
        return [named]
    classifiers = [each for each in told.get("classifier", []) if each.startswith(CLASSIFIER)]
    return [each.rpartition(" :: ")[2] for each in classifiers]


if __name__ == "__main__":
    sys.exit(main())

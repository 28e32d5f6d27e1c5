"""A double of the Hugging Face hub at the wire, as far as a model is pushed to it; strict.

Routes and bodies are those that huggingface_hub 2.4 uses. What it does not know is answered with 404 and
remembered: `a_hub` fails the test for it.
"""

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "hf_" + "t" * 34
CUT = -1
"""In place of a status: the connection is cut without an answer."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


class Hub:
    """What the test and the client see of it."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        self.unexpected: list[str] = []
        self.failures: defaultdict[str, list[int]] = defaultdict(list)
        """Statuses with which the next requests are answered, by the last part of their path."""
        self.makes_public = False
        """Whether it makes repositories public, whatever it was asked for."""
        self.large: dict[str, bytes] = {}
        self.url = ""

    # --- what it answers -------------------------------------------------------------------------
    async def create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert asked.keys() <= {"name", "organization", "visibility", "type"}, asked
        name = f"{asked['organization'] or 'me'}/{asked['name']}"
        if asked["organization"] not in (None, "me"):
            return web.json_response(
                {"error": "You don't have the rights to create a model here"}, status=403
            )
        if name in self.repositories:
            return web.json_response({"error": "exists", "url": f"{self.url}/{name}"}, status=409)
        private = asked.get("visibility") == "private" and not self.makes_public
        self.repositories[name] = Repository(private)
        return web.json_response({"url": f"{self.url}/{name}"})

    async def about(self, request: web.Request) -> web.Response:
        name = _name(request)
        if name not in self.repositories:
            code = {"X-Error-Code": "RepoNotFound"}
            return web.json_response({"error": "Repository not found"}, status=404, headers=code)
        private = self.repositories[name].private
        return web.json_response({"id": name, "private": private, "siblings": []})

    async def validate(self, request: web.Request) -> web.Response:
        """As the hub does, a card that names a base which is no model's id is refused."""
        asked = await request.json()
        header = yaml.safe_load(asked["content"].split("---")[1])
        base = header.get("base_model", "some/model")
        errors = [] if re.fullmatch(r"[\w.-]+/[\w.-]+", base) else [{"message": "base_model is not valid"}]
        return web.json_response({"errors": errors, "warnings": []}, status=400 if errors else 200)

    async def preupload(self, request: web.Request) -> web.Response:
        assert _name(request) in self.repositories
        files = (await request.json())["files"]
        return web.json_response(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                    }
                    for file in files
                ]
            }
        )

    async def batch(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        assert (asked["operation"], asked["hash_algo"]) == ("upload", "sha256")
        actions = {"verify": {"href": f"{self.url}/large/verify"}}
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.url}/large/{each['oid']}"}, **actions}}
            for each in asked["objects"]
        ]
        return web.json_response({"transfer": "basic", "objects": objects})

    async def put(self, request: web.Request) -> web.Response:
        data = await request.read()
        assert hashlib.sha256(data).hexdigest() == request.match_info["oid"]
        self.large[request.match_info["oid"]] = data
        return web.Response()

    async def verify(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert len(self.large[asked["oid"]]) == asked["size"]
        return web.Response()

    async def commit(self, request: web.Request) -> web.Response:
        lines = [json.loads(line) for line in (await request.read()).splitlines()]
        repository = self.repositories[_name(request)]
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    repository.files[value["path"]] = self.large[value["oid"]]
                case key:
                    raise AssertionError(key)
        repository.commits.append(lines[0]["value"]["summary"])
        return web.json_response(
            {"commitUrl": f"{self.url}/{_name(request)}/commit/1", "commitOid": "1" * 40}
        )

    # --- how -------------------------------------------------------------------------------------
    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        for part, statuses in self.failures.items():
            if part in request.path and statuses:
                if (status := statuses.pop(0)) == CUT:
                    assert request.transport is not None
                    request.transport.abort()
                    return web.Response()
                return web.json_response({"error": "the hub is not well"}, status=status)
        signed = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        if not signed and request.method != "PUT":
            return web.json_response({"error": "Invalid credentials"}, status=401)
        try:
            return await handler(request)
        except Exception as error:
            self.unexpected.append(f"{request.method} {request.path}: {error!r}")
            raise


def _name(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


@asynccontextmanager
async def a_hub() -> AsyncGenerator[Hub]:
    """A hub on a port of its own; on leaving, everything that it was asked must have been known to it."""
    hub = Hub()
    app = web.Application(middlewares=[hub.watch], client_max_size=64 * 1024**2)
    app.add_routes(
        [
            web.post("/api/repos/create", hub.create),
            web.get("/api/models/{owner}/{name}", hub.about),
            web.post("/api/validate-yaml", hub.validate),
            web.post("/api/models/{owner}/{name}/preupload/main", hub.preupload),
            web.post("/{owner}/{name}.git/info/lfs/objects/batch", hub.batch),
            web.post("/large/verify", hub.verify),
            web.put("/large/{oid}", hub.put),
            web.post("/api/models/{owner}/{name}/commit/main", hub.commit),
        ]
    )
    async with TestServer(app) as server:
        hub.url = str(server.make_url("")).rstrip("/")
        yield hub
    assert not hub.unexpected

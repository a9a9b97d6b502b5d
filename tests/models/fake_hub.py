"""A server on this machine that answers as the Hub does, and the child that asks it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_friend"

CHILD = """
import json, sys
from pathlib import Path
from draftwise.errors import DraftwiseError
from draftwise.models.adapter import find_architecture
from draftwise.models.hub import find_directory
def judge(directory):
    config = json.loads((directory / "config.json").read_text())
    if config["model_type"] == "mamba":
        find_architecture(directory, config)
for name, revision in json.loads(sys.argv[1]):
    try:
        print(json.dumps(str(find_directory(name, revision, judge))))
    except DraftwiseError as error:
        print(json.dumps({"error": str(error)}))
"""


@dataclass
class FakeHub:
    """Repositories by name, each a folder; which of them are gated or private; and the paths that were asked for."""

    repositories: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    served: list[str] = field(default_factory=list)
    url: str = ""

    def ask(self, cache: Path, *calls: tuple[str, str | None], **variables: str) -> list[str]:
        """What ``find_directory`` returns, or the one line of its error after "error: ", in a process of its own."""
        settings = {"HF_ENDPOINT": self.url, "HF_HOME": str(cache), "HF_HUB_ETAG_TIMEOUT": "10", "NO_PROXY": "*"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        command = [sys.executable, "-W", "error::DeprecationWarning:draftwise", "-c", CHILD, json.dumps(calls)]
        done = subprocess.run(
            command, env={**kept, **settings, **variables}, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]  # nothing but answers is on stdout
        assert len(answers) == len(calls)
        return [answer if isinstance(answer, str) else "error: " + answer["error"] for answer in answers]


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve it on a free port of this machine."""

    class Handler(_Handler):
        answers = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    answers: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        name = next((name for name in self.answers.repositories if f"/{name}/" in path + "/"), None)
        friend = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if self.headers.get("Authorization") == "Bearer hf_old":
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if name is None or (name in self.answers.private and not friend):
            return self._refuse(401, "RepoNotFound")
        if name in self.answers.broken:
            return self._refuse(503, "")
        rest = path.split(f"/{name}", 1)[1].strip("/").split("/")
        if len(rest) > 1 and rest[1] not in ("main", "v1", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        if path.startswith("/api/"):
            return self._send(json.dumps(self._listing(name, rest)).encode(), body, {})
        if name in self.answers.gated and not friend:
            return self._refuse(403, "GatedRepo")
        content = (self.answers.repositories[name] / "/".join(rest[2:])).read_bytes()
        if body:
            self.answers.served.append("/".join(rest[2:]))
        self._send(content, body, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'})

    def _listing(self, name: str, rest: list[str]) -> object:
        root = self.answers.repositories[name]
        files = sorted(path for path in root.rglob("*") if path.is_file())
        names = [str(path.relative_to(root)) for path in files]
        if rest[0] == "tree":
            sizes = [path.stat().st_size for path in files]
            return [
                {"type": "file", "path": path, "size": size, "oid": hashlib.sha1(path.encode()).hexdigest()}
                for path, size in zip(names, sizes, strict=True)
            ]
        return {"id": name, "modelId": name, "sha": COMMIT, "siblings": [{"rfilename": path} for path in names]}

    def _refuse(self, status: int, code: str, message: str = "") -> None:
        self._send(b"{}", True, {"X-Error-Code": code, "X-Error-Message": message}, status)

    def _send(self, content: bytes, body: bool, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(content)

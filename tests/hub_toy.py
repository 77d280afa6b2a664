"""A hub of one repository on this machine, for huggingface_hub's own download code to write caches from.

It serves what the real one serves (`file_download.py` and `_snapshot_download.py` in huggingface/huggingface_hub):
the commit of a branch, the tree of a commit, and files with the headers that their etags are read from.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPO = "someone/model"
COMMIT = "c0ffee00" * 5
LARGE = (".safetensors", ".gguf", ".bin")


def git_sha1(data: bytes) -> str:
    """Return git's name of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Hub:
    """The address of a hub and the files it has."""

    address: str
    files: Mapping[str, bytes]

    def to_cache(self, folder: Path, **options: Any) -> Path:
        """Download into a cache; return the snapshot."""
        return self._download(cache_dir=str(folder), **options)

    def to_folder(self, folder: Path, **options: Any) -> Path:
        """Download as with `hf download --local-dir`."""
        cache = folder.with_name(folder.name + "-cache")
        return self._download(local_dir=str(folder), cache_dir=str(cache), **options)

    def _download(self, **options: Any) -> Path:
        from huggingface_hub import snapshot_download

        place = snapshot_download(REPO, endpoint=self.address, token=False, max_workers=1, **options)
        return Path(str(place))


@contextmanager
def hub(files: Mapping[str, bytes], commit: str = COMMIT) -> Iterator[Hub]:
    """Serve files as the only revision of a repository."""
    handler = type("Handler", (_Handler,), {"files": files, "commit": commit})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_address[1]}", files)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    files: Mapping[str, bytes]
    commit: str

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *args: object) -> None:
        """Stay silent."""

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == f"/api/models/{REPO}/revision/main":
            self._send(json.dumps({"id": REPO, "sha": self.commit, "siblings": []}).encode(), {}, with_body)
        elif path.startswith(f"/api/models/{REPO}/tree/"):
            self._send(json.dumps([_entry(*item) for item in self.files.items()]).encode(), {}, with_body)
        else:
            name = path.removeprefix(f"/{REPO}/resolve/").partition("/")[2]
            data = self.files[name]
            self._send(data, _headers(name, data) | {"X-Repo-Commit": self.commit}, with_body)

    def _send(self, data: bytes, headers: Mapping[str, str], with_body: bool) -> None:  # noqa: FBT001 -- GET or HEAD
        self.send_response(200)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(data)


def _headers(name: str, data: bytes) -> dict[str, str]:
    if not name.endswith(LARGE):
        return {"ETag": f'"{git_sha1(data)}"'}
    sha256 = hashlib.sha256(data).hexdigest()
    return {"ETag": '"of-the-cdn"', "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}


def _entry(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data)}
    if name.endswith(LARGE):
        sha256 = hashlib.sha256(data).hexdigest()
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n"
        entry["oid"] = git_sha1(pointer % (sha256.encode(), len(data)))
        entry["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 134}
    return entry

"""A hub for tests: it answers as Hugging Face's API does, with large files on a server of their own."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from web import redirect

if TYPE_CHECKING:
    from pathlib import Path

    from web import Handler, Web

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAGE = 4
"""Files on one page of a listing."""


class Hub:
    """One model, org/v3, whose tensor files lie on another server."""

    def __init__(self, web: Web, cdn: Web) -> None:
        self.web, self.cdn = web, cdn
        self.gated = False
        self.refusals: list[tuple[int, str]] = []
        web.routes |= {
            "api/models/org/v3": self.api,
            "org/v3/resolve/": self.resolve,
            "api/models/": self.absent,
        }
        cdn.routes["blobs/"] = lambda handler: handler.serve(cdn.root / handler.name.removeprefix("blobs/"))

    def api(self, handler: Handler) -> None:
        parts = urlsplit(handler.path)
        if self.refusals:
            code, why = self.refusals.pop(0)
            handler.reply(code, b"{}", **({"X-Error-Code": why} if why else {}))
        elif "/tree/" in parts.path:
            self.tree(handler, int(parse_qs(parts.query).get("cursor", ["0"])[0]))
        elif parts.path.endswith(("/v3", "/revision/main", "/revision/refs%2Fpr%2F1", f"/revision/{COMMIT}")):
            handler.reply(200, json.dumps({"id": "org/v3", "sha": COMMIT, "siblings": []}).encode())
        else:
            handler.reply(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})

    def absent(self, handler: Handler) -> None:
        handler.reply(401, b"{}", **{"X-Error-Code": "RepoNotFound"})

    def tree(self, handler: Handler, at: int) -> None:
        """List a page of files; large ones have an LFS pointer."""
        files = sorted(file for file in self.web.root.rglob("*") if file.is_file())
        rows = [self.row(file) for file in files[at : at + PAGE]]
        more = f"{self.web.url}{urlsplit(handler.path).path}?cursor={at + PAGE}"
        link = {"Link": f'<{more}>; rel="next"'} if at + PAGE < len(files) else {}
        handler.reply(200, json.dumps(rows).encode(), **link)

    def row(self, file: Path) -> dict[str, Any]:
        data = file.read_bytes()
        name = file.relative_to(self.web.root).as_posix()
        git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        row = {"type": "file", "path": name, "size": len(data), "oid": git}
        if file.suffix != ".json":
            lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            return {**row, "oid": "f" * 40, "lfs": lfs}
        return row

    def resolve(self, handler: Handler) -> None:
        name = unquote(handler.name.partition(f"{COMMIT}/")[2])
        if self.gated:
            handler.reply(403, b"", **{"X-Error-Code": "GatedRepo"})
        elif name.endswith(".json"):
            handler.serve(self.web.root / name)
        else:
            redirect(f"{self.cdn.url}/blobs/{name}?X-Amz-Signature=hidden")(handler)

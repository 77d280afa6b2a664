"""Ollama's models: blobs are named by their sha256, manifests say which blob is the model.

`models/blobs/sha256-<hex>` (`sha256:<hex>` in old versions) and `models/manifests/<host>/<owner>/<model>/<tag>`, an OCI
manifest whose layer `application/vnd.ollama.image.model` is a GGUF file. Ollama does not look at a blob's content
again once it is there (ollama/ollama #17520, #13080).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weightlint import small_file
from weightlint.digest import Digest
from weightlint.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from weightlint.store import Store

MODEL = "application/vnd.ollama.image.model"
_BLOB = re.compile(r"sha256[-:]([0-9a-f]{64})")


class Ollama:
    """Names of blobs, and manifests."""

    name = "ollama"
    says = "a manifest of Ollama"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest]:
        """Yield the hash that names each file which is a blob, or a link to one."""
        for file in files:
            place = store.real(file)
            name = place.name if place else file.rpartition("/")[2]
            match = _BLOB.fullmatch(name)
            if match:
                yield Digest(file=file, value=match[1], origin="blob names of Ollama")

    def claims(self, path: Path, head: bytes) -> bool:
        """Claim an OCI manifest that has a layer of Ollama's."""
        del path
        return head.lstrip().startswith(b"{") and b"application/vnd.ollama.image." in head

    def read(self, path: Path, files: Sequence[str]) -> Iterator[Digest]:
        """Yield the hash of the model, if there is one file that it can be of."""
        manifest = small_file.table(small_file.read_path(path))
        layers = manifest.get("layers") if manifest else None
        listed = [small_file.plain(each) or {} for each in layers] if isinstance(layers, list) else []
        models = [each for each in listed if each.get("mediaType") == MODEL]
        match = _BLOB.fullmatch(str(models[0].get("digest"))) if len(models) == 1 else None
        if match is None:
            message = f"{path} is no manifest of Ollama with one model in one file"
            raise UsageError(message)
        size = models[0].get("size")
        if len(files) == 1:
            size = size if type(size) is int and size >= 0 else None
            yield Digest(file=files[0], value=match[1], size=size, origin="the manifest of Ollama")


SOURCE = Ollama()

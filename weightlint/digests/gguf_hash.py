"""Manifests of llama-gguf-hash: the hash of each tensor of a GGUF file, and of all of them together.

Lines `sha256    <hex>  model.gguf:blk.0.attn_q.weight` and `sha256    <hex>  model.gguf`
(`examples/gguf-hash/gguf-hash.cpp` in ggml-org/llama.cpp). Only the bytes of tensors are hashed, in the order of
the header: no line has the sha256 of the file, and a manifest outlives a change of metadata.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from weightlint import small_file
from weightlint.digest import ALL_TENSORS, Digest
from weightlint.errors import UsageError
from weightlint.finding import printable
from weightlint.listing import clean, meant
from weightlint.surroundings import levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from weightlint.store import Store

DIGITS = {"sha256": 64, "sha1": 40, "xxh3": 16, "xxh64": 16}
_LINE = re.compile(r"^(sha256|sha1|xxh3|xxh64) +([0-9a-f]{16,64})  (.+?\.gguf)(?::(.+?))?\r?$", re.MULTILINE)


class Line(NamedTuple):
    """One line: file as listed, tensor, algorithm, hash."""

    name: str
    tensor: str
    algorithm: str
    value: str


class GGUFHash:
    """Hashes of tensors."""

    name = "gguf_hash"
    says = "a manifest of llama-gguf-hash (model.gguf.manifest)"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what the manifests in the folder of these files, and in those above it, say."""
        del files
        for level in levels(store):
            for name in level.store.names():
                raw = small_file.read(level.store, name) if name.endswith(".manifest") else None
                for line in _lines(raw or b""):
                    own = level.own(clean(line.name) or "")
                    if own is not None:
                        yield _digest(own, line, name)

    def claims(self, path: Path, head: bytes) -> bool:
        """Claim a file that begins with such a line."""
        del path
        return _LINE.match(head.decode(errors="replace").partition("\n")[0]) is not None

    def read(self, path: Path, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what a manifest says of these files."""
        lines = list(_lines(small_file.read_path(path) or b""))
        if not lines:
            message = f"{path} has no line of llama-gguf-hash"
            raise UsageError(message)
        fits = meant((line.name for line in lines), files)
        yield from (_digest(fits[line.name], line, path.name) for line in lines if line.name in fits)


def _lines(raw: bytes) -> Iterator[Line]:
    for match in _LINE.finditer(raw.decode(errors="surrogateescape")):
        algorithm, value, name, tensor = match.groups()
        # what `--check` prints ends in a verdict, and its hash is that of the file which it looked at
        if len(value) == DIGITS[algorithm] and "  -  " not in match[0]:
            yield Line(name, tensor or ALL_TENSORS, algorithm, value)


def _digest(file: str, line: Line, name: str) -> Digest:
    return Digest(
        file=file, algorithm=line.algorithm, value=line.value, tensor=line.tensor, origin=printable(name)
    )


SOURCE = GGUFHash()

"""OpenSSF model signatures: a Sigstore bundle whose signed statement lists the hash of each file, or of its pieces.

The bundle holds a DSSE envelope with an in-toto statement (`_signing/signing.py` in sigstore/model-transparency):
predicate `https://model_signing/signature/v1.0` with `files` or `shards` (`name:start:stop`), and that of version
0.2, `https://model_signing/Digests/v0.1`, with one subject for each file. Who signed is not examined here: a
signature says that somebody meant these hashes, `model_signing verify` says who.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint import small_file
from weightlint.digest import Digest, Remark
from weightlint.errors import UsageError
from weightlint.finding import printable
from weightlint.listing import meant
from weightlint.strict_json import MAX_DIGITS
from weightlint.surroundings import levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from weightlint.store import Store

SUFFIXES = (".sig", ".sigstore", ".sigstore.json", ".bundle.json")
STATEMENT = "https://in-toto.io/Statement/v1"
SIGNATURE = "https://model_signing/signature/v1.0"
DIGESTS = "https://model_signing/Digests/v0.1"
DIGITS = {"sha256": 64, "blake2b": 128, "blake3": 64}
"""Hexadecimal digits of the algorithms that model-signing knows."""

_NOT_VERIFIED = "(its signature is not verified)"


_SHARDED = re.compile(r"-sharded-\d{1,19}$")
"""What stands behind the algorithm of a piece: how many bytes the pieces have."""


class Item(NamedTuple):
    """One entry of a statement: a file, or the bytes [start, stop) of it."""

    name: str
    algorithm: str
    value: str
    start: int = 0
    stop: int | None = None
    size: int | None = None


class ModelSigning:
    """Signed manifests."""

    name = "model_signing"
    says = "an OpenSSF model signature (model.sig)"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest | Remark]:
        """Yield what the signatures in the folder of these files, and in those above it, list."""
        del files
        for level in levels(store):
            for name in level.store.names():
                items = _items(small_file.read(level.store, name)) if name.endswith(SUFFIXES) else None
                for item in items or ():
                    own = level.own(item.name)
                    if own is not None:
                        yield _digest(own, item, name)
                if items == []:
                    yield Remark(
                        f"{printable(name)} lists hashes in an unknown way, or contradicts itself; it was left aside"
                    )

    def claims(self, path: Path, head: bytes) -> bool:
        """Claim a Sigstore bundle by its media type, wherever in the file it stands."""
        if not head.lstrip().startswith(b"{"):
            return False
        return path.name.endswith(SUFFIXES) or b"dev.sigstore.bundle" in head or b"dsseEnvelope" in head

    def read(self, path: Path, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what a signature lists of these files."""
        items = _items(small_file.read_path(path))
        if not items:
            message = f"{path} is no model signature whose statement is known and sound"
            raise UsageError(message)
        fits = meant((item.name for item in items), files)
        yield from (_digest(fits[item.name], item, path.name) for item in items if item.name in fits)


def _digest(file: str, item: Item, name: str) -> Digest:
    origin = f"{printable(name)} {_NOT_VERIFIED}"
    return Digest(
        file=file,
        algorithm=item.algorithm,
        value=item.value,
        size=item.size,
        start=item.start,
        stop=item.stop,
        origin=origin,
    )


def _items(raw: bytes | None) -> list[Item] | None:
    """Return what a bundle lists: None if it is none, [] if it is not what its own root hash says."""
    bundle = small_file.table(raw)
    envelope = small_file.plain(bundle.get("dsseEnvelope")) if bundle else None
    payload = envelope.get("payload") if envelope else None
    try:
        decoded = base64.b64decode(payload, validate=True) if isinstance(payload, str) else None
    except (binascii.Error, ValueError):
        return None
    statement = small_file.table(decoded)
    if statement is None or statement.get("_type") != STATEMENT:
        return None
    subjects = _tables(statement.get("subject"))
    if statement.get("predicateType") == DIGESTS:
        return list(filter(None, (_subject(each) for each in subjects)))
    if statement.get("predicateType") != SIGNATURE or len(subjects) != 1:
        return None
    return _resources(small_file.plain(statement.get("predicate")) or {}, subjects[0])


def _resources(predicate: dict[str, Any], subject: dict[str, Any]) -> list[Item]:
    """Return the entries of a statement, [] unless the subject is the sha256 over all their hashes."""
    way = small_file.plain(predicate.get("serialization")) or {}
    items = [
        _resource(each, in_pieces=way.get("method") == "shards")
        for each in _tables(predicate.get("resources"))
    ]
    sound = [item for item in items if item]
    root = hashlib.sha256(b"".join(bytes.fromhex(item.value) for item in sound)).hexdigest()
    told = (small_file.plain(subject.get("digest")) or {}).get("sha256")
    return _with_sizes(sound) if len(sound) == len(items) and root == told else []


def _with_sizes(items: list[Item]) -> list[Item]:
    """Return items of which those that are pieces know the size of their file; none where pieces leave holes or overlap."""
    ends: dict[str, int] = {}
    pieces = sorted((item.start, item.stop, item.name) for item in items if item.stop is not None)
    for start, stop, name in pieces:
        if start != ends.get(name, 0):
            return []
        ends[name] = stop
    return [item._replace(size=ends[item.name]) if item.stop is not None else item for item in items]


def _resource(each: dict[str, Any], *, in_pieces: bool) -> Item | None:
    name, algorithm, value = (small_file.text(each.get(key)) for key in ("name", "algorithm", "digest"))
    if name is None or algorithm is None:
        return None
    algorithm = _SHARDED.sub("", algorithm) if in_pieces else algorithm
    if not _is_hex(value, DIGITS.get(algorithm)):
        return None
    if not in_pieces:
        return Item(name, algorithm, str(value).lower())
    path, start, stop = ("", "", *name.rsplit(":", 2))[-3:]
    if not (_is_number(start) and _is_number(stop) and int(start) < int(stop)):
        return None
    return Item(path, algorithm, str(value).lower(), int(start), int(stop))


def _subject(each: dict[str, Any]) -> Item | None:
    said = small_file.plain(each.get("digest")) or {}
    name, value = small_file.text(each.get("name")), small_file.text(said.get("sha256"))
    sound = name is not None and _is_hex(value, DIGITS["sha256"])
    return Item(str(name), "sha256", str(value).lower()) if sound else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS


def _is_hex(value: object, digits: int | None) -> bool:
    if not isinstance(value, str) or len(value) != digits:
        return False
    return all(char in "0123456789abcdefABCDEF" for char in value)


def _tables(value: object) -> list[dict[str, Any]]:
    found = [small_file.plain(each) for each in value] if isinstance(value, list) else []
    return [each for each in found if each is not None]


SOURCE = ModelSigning()

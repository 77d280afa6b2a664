"""Lists that sha256sum and its sisters write: `SHA256SUMS`, `model.safetensors.sha256`, `checksums.txt`.

Lines of coreutils (`<hex>  name`, `<hex> *name`, with a backslash before where the name is escaped), of BSD and
`--tag` (`SHA256 (name) = <hex>`), and a hash alone in a file that is named after its file. What the hash is, its
tag, the name of the list or its length tells; a line that contradicts the name of the list says nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from weightlint import small_file
from weightlint.digest import Digest, Remark
from weightlint.errors import UsageError
from weightlint.finding import counted, printable
from weightlint.listing import clean, common_folder, meant
from weightlint.surroundings import Level, levels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from weightlint.store import Store

MAX_BYTES = 1 << 24
MAX_ODD = 10_000
"""Lines that are no sums after which a file is no list."""

LENGTHS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
"""Algorithms by hexadecimal digits."""

TAGS = {f"sha2{bits}": f"sha{bits}" for bits in (224, 256, 384, 512)} | {"blake2b512": "blake2b"}
"""Tags of openssl (`SHA2-256`, `BLAKE2B-512`) without their dash, and what is meant."""

_OTHER = re.compile(r"blake|b[23]sum|sha[-_]?3(?!84)|keccak|shake|whirlpool|crc", re.IGNORECASE)
"""Names of lists whose hashes have the length of an algorithm that they are not of."""

_ALGORITHM = r"md5|sha1|sha224|sha256|sha384|sha512"
_NAME = re.compile(
    rf"(?:(?P<beside>.+)\.(?P<of>{_ALGORITHM})(?:sums?)?(?:\.txt)?"
    rf"|(?:.*[-_.])?(?P<list>{_ALGORITHM})[-_.]?sums?(?:[-_.].*)?"
    rf"|(?:manifest-)?(?P<bare>{_ALGORITHM})(?:\.txt)?|(?:.*[-_.])?check[-_]?sums?(?:\.txt)?)",
    re.IGNORECASE,
)
_LINE = re.compile(r"(?P<escaped>\\?)(?P<hex>[0-9a-fA-F]{32,128})(?: [ *]|[ \t]+\*?)(?P<name>\S.*)")
_TAGGED = re.compile(
    r"(?P<escaped>\\?)(?P<tag>[A-Za-z0-9-]+) ?\((?P<name>.+)\) ?= ?(?P<hex>[0-9a-fA-F]{32,128})"
)
_ALONE = re.compile(r"[0-9a-fA-F]{32,128}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "\\": "\\"}


class Sum(NamedTuple):
    """One line: the name as listed, algorithm, hash."""

    name: str
    algorithm: str
    value: str


class Sums:
    """Lists of hashes."""

    name = "sha256sums"
    says = "a list as sha256sum, md5sum or their sisters write it (SHA256SUMS, *.sha256, checksums.txt)"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest | Remark]:
        """Yield what the lists beside these files, and in the folders above them, say."""
        for level in levels(store):
            for folder in _folders(level, files):
                for name in level.store.names(folder):
                    if _NAME.fullmatch(name):
                        path = f"{folder}/{name}".lstrip("/")
                        raw = small_file.read(level.store, path, limit=MAX_BYTES)
                        yield from _found(level, folder, path, raw or b"")

    def claims(self, path: Path, head: bytes) -> bool:
        """Claim a file whose name or first line is that of a list."""
        first = _decoded(head).lstrip().partition("\n")[0]
        listed = _LINE.fullmatch(first.rstrip()) or _TAGGED.fullmatch(first.rstrip())
        return bool(listed or (_NAME.fullmatch(path.name) and _ALONE.fullmatch(first.strip())))

    def read(self, path: Path, files: Sequence[str]) -> Iterator[Digest]:
        """Yield what a list says of these files, wherever they lay when it was made."""
        sums, _ = parse(small_file.read_path(path, limit=MAX_BYTES) or b"", path.name)
        if not sums:
            message = f"{path} has no line that gives the hash of a file"
            raise UsageError(message)
        fits = meant((entry.name for entry in sums), files)
        origin = printable(path.name)
        for entry in sums:
            if entry.name in fits:
                yield Digest(
                    file=fits[entry.name], algorithm=entry.algorithm, value=entry.value, origin=origin
                )


def parse(raw: bytes, name: str) -> tuple[list[Sum], int]:
    """Return the sums in a list of this file name, and how many of its lines are none."""
    wanted, about = _told(name)
    tagged = _OTHER.search(name) is not None
    lines = [line for line in _decoded(raw).split("\n") if line.strip() and not line.startswith("#")]
    sums: list[Sum] = []
    for at, line in enumerate(lines):
        found = _sum(line.rstrip("\r"), about if len(lines) == 1 else None, tagged=tagged)
        if found is not None and wanted in {None, found.algorithm}:
            sums.append(found)
        elif at + 1 - len(sums) > MAX_ODD:
            return [], at + 1
    return sums, len(lines) - len(sums)


def _told(name: str) -> tuple[str | None, str | None]:
    """Return the algorithm that the name of a list tells, and the file it is named after."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None, None
    algorithm = match["list"] or match["of"] or match["bare"]
    return algorithm and algorithm.lower(), match["beside"]


def _sum(line: str, about: str | None, *, tagged: bool) -> Sum | None:
    """Return what a line says; `tagged` if its length does not tell what its hash is."""
    match = _TAGGED.fullmatch(line)
    if match:
        return _checked(_unescaped(match), match["tag"], match["hex"])
    if tagged:
        return None
    if about is not None and _ALONE.fullmatch(line.strip()):
        return _checked(about, None, line.strip())
    match = _LINE.fullmatch(line)
    return _checked(_unescaped(match), None, match["hex"]) if match else None


def _checked(name: str, tag: str | None, digits: str) -> Sum | None:
    """Return a sum if its digits are as many as its algorithm has; BSD's tags are upper case, openssl's too."""
    by_length = LENGTHS.get(len(digits))
    said = tag.lower().replace("-", "") if tag else by_length
    algorithm = TAGS.get(said, said) if said else None
    fits = algorithm == by_length or (algorithm == "blake2b" and len(digits) == 128)
    return Sum(name, algorithm, digits.lower()) if algorithm and fits else None


def _unescaped(match: re.Match[str]) -> str:
    if not match["escaped"]:
        return match["name"]
    return _ESCAPE.sub(lambda pair: _ESCAPED.get(pair[1], pair[0]), match["name"])


def _decoded(raw: bytes) -> str:
    """Return the text of a list; PowerShell writes UTF-16 and a byte order mark."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    return raw.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")


def _folders(level: Level, files: Iterable[str]) -> list[str]:
    """Return the folders of a level in which files lie, and those between."""
    folders = {""}
    for file in files if not level.prefix else ():
        parts = file.split("/")[:-1]
        folders |= {"/".join(parts[: end + 1]) for end in range(len(parts))}
    return sorted(folders)


def _found(level: Level, folder: str, path: str, raw: bytes) -> Iterator[Digest | Remark]:
    sums, odd = parse(raw, path.rpartition("/")[2])
    away = common_folder(entry.name for entry in sums)
    origin = printable(f"{'../' * level.prefix.count('/')}{path}")
    for name, algorithm, value in sums:
        listed = clean(name.removeprefix(away) if away else name)
        own = level.own(f"{folder}/{listed}".lstrip("/")) if listed else None
        if own is not None:
            yield Digest(file=own, algorithm=algorithm, value=value, origin=origin)
    if odd and sums:
        yield Remark(f"{origin}: {counted(odd, 'line')} of {odd + len(sums):,} were not understood")


SOURCE = Sums()

"""What a file really is when it is not what its name says: pointer, web page, other container.

Looks at the first bytes only; knows nothing of tensors. Text of a file is quoted only where it is
a known opening of an error message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from weightlint import lfs_pointer
from weightlint.finding import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = 4096
"""Bytes from the start of a file that are enough to tell: one page."""

AGAIN = "download the file again"

_JSON_ERROR = re.compile(rb'\{\s*"(?:error|message|detail|code)"\s*:\s*"?([^"}]{1,100})')
_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error")
_REFUSALS = (
    b"entry not found",
    b"repository not found",
    b"not found",
    b"invalid ",
    b"access ",
    b"unauthorized",
    b"forbidden",
    b"too many requests",
    b"error",
    b"404",
    b"403",
    b"401",
)
_UNPACK = "unpack it"
_CONVERT = "convert it to safetensors"
_OLD_GGML = ("a GGML file, which llama.cpp read before GGUF", "convert the original model to GGUF")
_MAGICS: Sequence[tuple[bytes, str, str]] = (
    (b"GGUF", "a GGUF file", "give it the name that it deserves, ending in .gguf"),
    (b"PK\x03\x04", "a ZIP archive, as torch.save writes", _CONVERT),
    (b"PK\x05\x06", "an empty ZIP archive", AGAIN),
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz file", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"\x89HDF", "an HDF5 file", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", _CONVERT),
    (b"\x00\x05\x16\x07", "a macOS resource fork (AppleDouble)", "delete it"),
    *((magic, *_OLD_GGML) for magic in (b"lmgg", b"fmgg", b"tjgg")),
    *((bytes((0x80, protocol)), "a Python pickle", _CONVERT) for protocol in range(2, 6)),
)
_TORCH = frozenset({b"PK\x03\x04", *(bytes((0x80, protocol)) for protocol in range(2, 6))})


class Guess(NamedTuple):
    """What was recognised, in words that follow `is`, and what to do."""

    what: str
    cure: str


def recognise(head: bytes, size: int, *, wanted: str) -> Guess | None:
    """Tell what a file is by its first bytes (up to `HEAD`) and its size; None if it is unknown.

    `wanted` is what it should be; a JSON text is a stranger only where no JSON is wanted, a ZIP
    archive or a pickle only where no torch file is.
    """
    if not size:
        return Guess("an empty file (0 bytes)", AGAIN)
    pointer = lfs_pointer.parse(head)
    if pointer is not None:
        return _pointer(pointer)
    for magic, what, cure in _MAGICS:
        if head.startswith(magic) and not (wanted == "torch" and magic in _TORCH):
            return Guess(what, cure)
    length = int.from_bytes(head[:8], "little")
    if "safetensors" not in wanted and head[8:9] == b"{" and 2 <= length <= size - 8:
        return Guess("a safetensors file", "give it the name that it deserves, ending in .safetensors")
    if not head.strip(b"\0"):
        return _zeros(head, size)
    return _text(head, json_is_foreign="JSON" not in wanted)


def _pointer(pointer: lfs_pointer.Pointer) -> Guess:
    named = [f"{pointer.size:,} bytes"] if pointer.size is not None else []
    named += [f"sha256 {pointer.oid}"] if pointer.oid else []
    real = f" (the real one: {', '.join(named)})" if named else ""
    return Guess(f"a Git LFS pointer{real}", "run `git lfs pull` in the repository")


def _zeros(head: bytes, size: int) -> Guess:
    seen = f"{size:,} bytes" if len(head) == size else f"the first {len(head):,} of {size:,} bytes"
    return Guess(f"all zeros ({seen}): its space was set aside and never written", AGAIN)


def _text(head: bytes, *, json_is_foreign: bool) -> Guess | None:
    start = head.lstrip()[:200]
    lowered = start.lower()
    if lowered.startswith(_PAGE):
        return Guess("a web page (HTML), left by a download that failed", AGAIN)
    error = _JSON_ERROR.match(start)
    if error:
        return Guess(f"an error message in JSON ({_quoted(error[1])})", AGAIN)
    if lowered.startswith(_REFUSALS) and start.isascii():
        return Guess(f"an error message ({_quoted(start.splitlines()[0])})", AGAIN)
    if json_is_foreign and start.startswith(b"{"):
        return Guess("a JSON text", AGAIN)
    return None


def _quoted(text: bytes) -> str:
    return f'"{printable(text.decode(errors="replace").strip(), limit=80)}"'

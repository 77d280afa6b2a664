"""What a file that is not what its name says probably is, told from its first bytes."""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD = 512
"""Bytes of a file that are enough to recognise it."""

AGAIN = "download the file again and compare its size with the source"


class Guess(NamedTuple):
    """What the bytes look like, and what to do about it."""

    what: str
    cure: str


_LFS = re.compile(rb"version https://git-lfs\S*\s+oid sha256:([0-9a-f]{64})\s+size (\d{1,19})")
_MAGIC = (
    (b"GGUF", "a GGUF file"),
    (b"PK\x03\x04", "a zip archive (torch.save writes these)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"%PDF", "a PDF"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a numpy array"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")


def recognise(head: bytes, size: int, *, wanted: str) -> Guess | None:
    """Guess what a file is from its first `HEAD` bytes and its size in bytes."""
    if size == 0:
        return Guess("an empty file (0 bytes)", AGAIN)
    if pointer := _LFS.match(head):
        declared = int(pointer[2])
        digest = pointer[1].decode()
        return Guess(
            f"a git-LFS pointer of {size} bytes; the real file has {declared:,} bytes, sha256 {digest}",
            "run `git lfs pull`, or download the file itself",
        )
    if not head.strip(b"\0"):
        return Guess(f"{size:,} bytes that start with zeros: space was reserved and never written", AGAIN)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return Guess("a web page (HTML or XML), such as an error or login page of a download", AGAIN)
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return Guess(what, f"give the file the name of its format, or convert it to {wanted}")
    if _PICKLE.match(head):
        return Guess("a Python pickle; nothing in it was executed", f"convert it to {wanted}")
    if text.startswith(b'{"error"'):
        return Guess("the JSON error message of a server", AGAIN)
    return None

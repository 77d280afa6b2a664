"""From the bytes of a GGUF file to its table of tensors, or to what is wrong with it.

Layout: ggml docs/gguf.md; what is refused: llama.cpp ggml/src/gguf.cpp. The header is read in chunks by
plain reads and long arrays are passed over, so that memory does not grow with a vocabulary.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.finding import printable
from weightlint.foreign import AGAIN, HEAD, recognise
from weightlint.gguf.cursor import REWRITE, BadGgufError, Cursor
from weightlint.gguf.faults import header
from weightlint.gguf.keys import Keys
from weightlint.gguf.parsed import MAGIC, Parsed
from weightlint.gguf.tensors import Tensors
from weightlint.index import Fault, FaultKind, Header

if TYPE_CHECKING:
    from weightlint.store import Blob

NEWEST = 3
"""Version that is known; llama.cpp reads 2 and 3."""


def read(blob: Blob, path: str) -> Header:
    """Read the table of one file; whatever is wrong with it is among the faults."""
    head = blob.read(0, HEAD)
    if not head.startswith(MAGIC):
        return Header(size=blob.size, faults=[_foreign(head, blob.size, path)])
    if len(head) < 8:
        ended = BadGgufError("its version is cut off", len(head), FaultKind.TORN)
        return Header(size=blob.size, faults=[_broken(path, ended)])
    order, version = _version(head)
    early = _refused(path, order, version)
    if not 1 <= version <= NEWEST:
        return Header(size=blob.size, faults=[early] if early else [])
    cursor = Cursor(blob, head, 8, order=order, version=version)
    keys, tensors = Keys(path, cursor), Tensors(cursor)
    try:
        count, key_count = cursor.length(), cursor.length()
        keys.read(key_count)
        tensors.read(count)
    except BadGgufError as error:
        last = _broken(path, error) if early is None else _either(early, error)
        return Header(size=blob.size, metadata=keys.values, faults=[*keys.faults, last])
    return header(Parsed(path, keys, tensors, stop=cursor.position, size=blob.size, early=early))


def _version(head: bytes) -> tuple[str, int]:
    """Return byte order, as `<` or `>`, and version; swapped bytes show as a version without low bits."""
    little = int.from_bytes(head[4:8], "little")
    swapped = not little & 0xFFFF and little
    return (">", int.from_bytes(head[4:8], "big")) if swapped else ("<", little)


def _refused(path: str, order: str, version: int) -> Fault | None:
    """Say why llama.cpp on this machine takes no file of this version and byte order."""
    here = "<" if sys.byteorder == "little" else ">"
    if not 1 <= version <= NEWEST:
        newer = "newer than any known" if version > NEWEST else "which there is not"
        what, cure = f"is of GGUF version {version:,}, {newer}", AGAIN
    elif version == 1:
        what, cure = "is of GGUF version 1, which llama.cpp reads no longer", REWRITE
    elif order != here:
        named = "big-endian" if order == ">" else "little-endian"
        what = f"is {named}, this machine is {sys.byteorder}-endian: llama.cpp refuses it here"
        cure = "turn it round with gguf_convert_endian.py of the gguf package, or take the file made for this machine"
    else:
        return None
    lost = not 1 <= version <= NEWEST
    return Fault(kind=FaultKind.MALFORMED, file=path, message=f"{path} {what}", cure=cure, lost=lost)


def _foreign(head: bytes, size: int, path: str) -> Fault:
    guess = recognise(head, size, wanted="GGUF")
    begins = f": it begins with '{printable(head[:4].decode('latin-1'))}', not with '{MAGIC.decode()}'"
    message = f"{path} is no GGUF file{f' but {guess.what}' if guess else begins}"
    cure = guess.cure if guess else AGAIN
    return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=cure, lost=True)


def _broken(path: str, error: BadGgufError) -> Fault:
    what = "ends inside its header" if error.kind is FaultKind.TORN else "has a broken header"
    message = f"{path} {what} {error.told}"
    return Fault(kind=error.kind, file=path, message=message, cure=AGAIN, lost=True)


def _either(early: Fault, error: BadGgufError) -> Fault:
    message = f"{early.message}; nor can it be read in that way {error.told}"
    return replace(early, message=message, lost=True)

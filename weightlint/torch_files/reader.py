"""From the bytes of a torch file to its table of tensors, by whichever of its layouts it has.

A ZIP archive since release 1.6, pickles and storages in a row before, a tar archive before 0.1.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.foreign import AGAIN, HEAD, recognise
from weightlint.index import Fault, FaultKind, Header
from weightlint.torch_files import archive, legacy
from weightlint.torch_files.faults import foreign
from weightlint.torch_files.zip_directory import read_archive
from weightlint.torch_files.zip_end import BadZipError

if TYPE_CHECKING:
    from weightlint.store import Blob

_OLD = "load it with an old torch where you trust it, and save the state dict as safetensors"


def read(blob: Blob, path: str) -> Header:
    """Read the table of one file; whatever is wrong with it is among the faults."""
    head = blob.read(0, HEAD)
    if head.startswith(b"PK\x03\x04"):
        return archive.read(blob, path)
    if head.startswith(b"\x80"):
        return legacy.read(blob, path)
    return Header(size=blob.size, faults=[_stranger(blob, path, head)])


def _stranger(blob: Blob, path: str, head: bytes) -> Fault:
    """Say what a file is that begins like none of torch's."""
    if head[257:262] == b"ustar":
        return foreign(path, "a tar archive, as torch wrote before release 0.1.10", _OLD)
    if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= blob.size:
        return foreign(
            path, "a safetensors file", "give it the name that it deserves, ending in .safetensors"
        )
    guess = recognise(head, blob.size, wanted="torch")
    if guess is not None:
        return foreign(path, guess.what, guess.cure)
    try:
        read_archive(blob)
    except BadZipError as error:
        if error.kind is not FaultKind.TORN:
            return Fault(kind=error.kind, file=path, message=f"{path} {error}", cure=AGAIN, lost=True)
    return foreign(path, "something that begins with neither a ZIP archive nor a pickle", AGAIN)

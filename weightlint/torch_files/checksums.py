"""The CRC-32 of every record of a torch archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.probe import Crc
from weightlint.torch_files.zip_directory import read_archive
from weightlint.torch_files.zip_end import BadZipError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.store import Blob


def checksums(blob: Blob) -> Iterator[Crc]:
    """Yield the records that are stored as they are; nothing where none has a checksum.

    `torch.serialization.set_crc32_options(False)` writes 0 for every record, which is no checksum.
    """
    if not blob.read(0, 4).startswith(b"PK\x03\x04"):
        return
    try:
        records = read_archive(blob).records.values()
    except BadZipError:
        return
    if any(record.crc for record in records):
        yield from (
            Crc(record.name, record.start, record.start + record.packed, record.crc)
            for record in records
            if record.plain and record.packed
        )

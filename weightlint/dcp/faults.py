"""What can be wrong with a folder of torch.distributed.checkpoint: chunks, their places, their files."""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import TYPE_CHECKING

from weightlint.dcp.tiling import flaw
from weightlint.finding import counted, printable
from weightlint.index import Fault, FaultKind
from weightlint.names import patterns
from weightlint.torch_files.faults import grouped, malformed, torn
from weightlint.torch_files.types import bits
from weightlint.weight_map import unsafe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.dcp.metadata import Contents, Place, Tensor

SAVE = "save the checkpoint again: this one was put together from several saves, or its table was changed"


def table_faults(path: str, found: Contents) -> Iterator[Fault]:
    """Tell of entries that cannot be, and of chunks that do not make up their tensor."""
    if found.twice:
        yield malformed(path, f"lists {counted(len(found.twice), 'name')} twice", found.twice, cure=SAVE)
    bad: dict[str, list[str]] = defaultdict(list, {key: list(names) for key, names in found.bad.items()})
    for name, tensor in found.tensors.items():
        why = _flaw(tensor)
        if why is not None:
            bad[why].append(name)
    yield from grouped(path, bad, cure=SAVE)


def _flaw(tensor: Tensor) -> str | None:
    why = flaw(tensor.shape, [(chunk.offsets, chunk.sizes) for chunk in tensor.chunks])
    if why is not None:
        return why
    each = bits(tensor.dtype)
    for chunk in tensor.chunks:
        place, least = chunk.place, prod(chunk.sizes) * each // 8
        if place is None:
            return f"a chunk at {list(chunk.offsets)} that is in no file"
        if place.length < least and not place.packed:
            return f"a chunk of {place.length:,} bytes for {tensor.dtype} {list(chunk.sizes)}, which takes {least:,}"
    return None


def unsafe_files(path: str, files: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    """Tell of files that must not be opened, with the tensors that are said to be in them."""
    for file, names in files.items():
        why = unsafe(file)
        if why is not None:
            message = (
                f"{path} places {counted(len(names), 'tensor')} in {file!r}, which {why}; it was not opened"
            )
            yield Fault(
                kind=FaultKind.UNSAFE,
                file=path,
                message=message,
                tensors=tuple(patterns(names)),
                found=file,
                cure="do not trust this checkpoint",
            )


def file_faults(
    places: Mapping[str, Sequence[tuple[str, Place]]], sizes: Mapping[str, int]
) -> Iterator[Fault]:
    """Tell of files that end before their last chunk does; `places` gives the chunks of each file."""
    for file, chunks in places.items():
        size = sizes.get(file)
        end = max(place.offset + place.length for _, place in chunks)
        if size is None or end <= size:
            continue
        hit = dict.fromkeys(name for name, place in chunks if place.offset + place.length > size)
        what = f"ends {end - size:,} bytes too early; {counted(len(hit), 'tensor')} cut off or absent"
        yield torn(file, what, list(hit))


def left_over(files: Sequence[str], table: str) -> Iterator[Fault]:
    """Tell of files that the table does not name: those of another save."""
    if files:
        shown = printable(files[0], limit=80)
        rest = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
        yield Fault(
            kind=FaultKind.ODD,
            file=table,
            message=f"{table} does not name {shown}{rest}: left over from another save into this folder",
            cure="torch reads by the table and leaves them out; delete them if nothing else needs them",
        )


def no_table(table: str, files: Sequence[str]) -> Fault:
    """Return the fault of a folder that has the files but not their table."""
    return Fault(
        kind=FaultKind.UNREADABLE,
        file=table,
        message=f"{table} is absent: nothing says what is in {counted(len(files), '.distcp file')}",
        cure="save or copy the checkpoint again: torch writes the table last, a save that was stopped has none",
        lost=True,
    )


def stranger(path: str, what: str, cure: str) -> Fault:
    """Return the fault of a table that is another kind of file."""
    return Fault(
        kind=FaultKind.FOREIGN,
        file=path,
        message=f"{path} is no table of torch.distributed.checkpoint but {what}",
        cure=cure,
        lost=True,
    )

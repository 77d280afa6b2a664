"""Notes that huggingface_hub leaves beside files it downloads into a plain folder.

`.cache/huggingface/download/<path>.metadata` has the commit, the etag and the time (`_local_folder.py` in
huggingface/huggingface_hub). A file that was changed later may have been changed on purpose. Of a config nothing
is said then. Weights are seldom edited in place, and copying without dates looks the same, so their hash is
still worth comparing: the digest carries the doubt, and what differs is no more than a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.digest import Digest
from weightlint.format import format_of
from weightlint.hub_layout import Note, changed_later, named_hash, read_note
from weightlint.surroundings import levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.store import Store

ORIGIN = "the download notes in .cache/huggingface"


class HubLocal:
    """Notes of `hf download --local-dir`."""

    name = "hub_local"
    says = "the notes of `hf download --local-dir` in .cache/huggingface"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest]:
        """Yield the etag of each file that has a note, that of the nearest folder above it."""
        around = list(levels(store))
        for file in files:
            notes = (read_note(level.store, level.prefix + file) for level in around)
            note = next(filter(None, notes), None)
            if note is not None:
                yield from _told(store, file, note)


def _told(store: Store, file: str, note: Note) -> Iterator[Digest]:
    try:
        with store.open(file) as blob:
            told = named_hash(note.etag, blob.size)
    except OSError:
        return
    doubt = changed_later(store, file, note.written)
    if told is None or (doubt and format_of(file) is None):
        return
    algorithm, value = told
    yield Digest(file=file, algorithm=algorithm, value=value, origin=ORIGIN, commit=note.commit, doubt=doubt)


SOURCE = HubLocal()

"""Read the headers of files; what the system or a server refuses becomes a fault.

Knows nothing of which files belong to a checkpoint.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.finding import printable
from weightlint.format import FORMATS, Bundle, Tabled, format_of
from weightlint.index import Fault, FaultKind, Index
from weightlint.names import natural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.format import Format
    from weightlint.index import Header
    from weightlint.store import Store

_RETRY = "try again later; if it stays so, tell who runs the server, or download the file and check it here"


class Reader:
    """Reads headers, as many at once as the store likes, and remembers what went wrong."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.absent: list[str] = []
        self.faults: list[Fault] = []

    def read_all(self, files: Sequence[str]) -> Index:
        """Read the headers of these files, in natural order."""
        index = Index()
        paths = sorted(files, key=natural)
        for path, header in zip(paths, self._headers(paths), strict=True):
            match header:
                case None:
                    self.absent.append(path)
                case Fault():
                    self.faults.append(header)
                case _:
                    index.add(path, header)
                    self.faults += self._with_link(path, header.faults)
        return index

    def _headers(self, paths: Sequence[str]) -> Iterator[Header | Fault | None]:
        width = min(self.store.at_once, len(paths))
        if width <= 1:
            yield from map(self._read, paths)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(width) as pool:
            yield from pool.map(self._read, paths)

    def _read(self, path: str) -> Header | Fault | None:
        """Return the header of a file, why it cannot be read, or None where it is absent."""
        try:
            with self.store.open(path) as blob:
                return self._format(path).read(blob, path)
        except FileNotFoundError:
            return _dangling(path) if self.store.link(path) or self._is_link(path) else None
        except OSError as error:
            return unreadable(self.store, path, error)

    def _format(self, path: str) -> Format:
        """Return the format of a file; one of an unknown name is read as safetensors, which names what it is."""
        found = format_of(path) or FORMATS["safetensors"]
        assert not isinstance(found, (Bundle, Tabled))
        return found

    def _with_link(self, path: str, faults: Sequence[Fault]) -> Iterator[Fault]:
        link = self.store.link(path) if faults else None
        for fault in faults:
            note = f"; {path} is a link to {printable(link)}" if link else ""
            yield replace(fault, message=fault.message + note)

    def _is_link(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return name in self.store.names(folder)


def unreadable(store: Store, path: str, error: OSError) -> Fault:
    """Return the fault of a file that the system would not let us read."""
    link = store.link(path)
    where = f" (a link to {link})" if link else ""
    return Fault(
        kind=FaultKind.UNREADABLE,
        file=path,
        message=f"{path}{where} cannot be read: {error.strerror or error}",
        cure=_RETRY
        if isinstance(error, ConnectionError)
        else "make it a readable file, or download it again",
        lost=True,
    )


def _dangling(path: str) -> Fault:
    return Fault(
        kind=FaultKind.UNREADABLE,
        file=path,
        message=f"{path} is a link to a file that is not there",
        cure="download it again: a cache was cleaned or copied without its blobs",
        lost=True,
    )

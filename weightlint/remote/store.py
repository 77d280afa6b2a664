"""A folder on the network as a store: what its site lists, read by the client, heads of files kept in memory."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from weightlint.errors import UsageError
from weightlint.finding import printable
from weightlint.format import format_of
from weightlint.remote.answer import refused
from weightlint.remote.blob import RemoteBlob
from weightlint.remote.client import IN_FLIGHT, client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from weightlint.remote.client import Part
    from weightlint.remote.site import Entry, Listing, Site

HEAD = 96 << 10
"""Bytes that are asked for at the start of a tensor file of which no index tells more."""

WHOLE = 1 << 24
"""Bytes that are asked for at the start of any other file: indexes and configs are read whole."""

KEPT = 1 << 27
"""Bytes of heads that are kept in all, for a second reading of the same headers."""


class RemoteStore:
    """The files of one site; it may be used from any thread."""

    at_once = IN_FLIGHT

    def __init__(self, site: Site) -> None:
        self.site = site
        self._clear()

    def _clear(self) -> None:
        self._lists: dict[str, Listing] = {}
        self._kept: dict[str, tuple[Part, ...]] = {}
        self._first: dict[str, int] = {}
        self._failed: dict[str, ConnectionError] = {}
        self._room = KEPT
        self._lock = Lock()
        # made before threads ask for it, or there were several
        client()

    def __getstate__(self) -> Site:
        return self.site

    def __setstate__(self, site: Site) -> None:
        self.site = site
        self._clear()

    @property
    def name(self) -> str:
        """Return what the site is called."""
        return self.site.name

    def names(self, folder: str = "") -> list[str]:
        """Return the file names in one folder, sorted; [] if there is no folder."""
        listing = self._list(folder)
        return sorted(listing.files) if listing else []

    def folders(self) -> list[str]:
        """Return the names of the folders at the top, sorted."""
        listing = self._list("")
        return sorted(listing.folders) if listing else []

    def entry(self, path: str) -> Entry | None:
        """Return what the listing says of a file, None if it is not there."""
        folder, _, name = path.rpartition("/")
        listing = self._list(folder)
        return listing.files.get(name) if listing else None

    @contextmanager
    def open(self, path: str) -> Iterator[RemoteBlob]:
        """Open one file for reading.

        Raises:
            OSError: absent, no permission, or the server is of no use.
        """
        entry = self.entry(path)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "is not there", path)
        if path in self._failed:
            raise self._failed[path]
        held = self._kept.get(path, ())
        first = self._first.get(path) or (HEAD if format_of(path) else WHOLE)
        try:
            blob = RemoteBlob(lambda start, stop: self._ask(path, start, stop), entry, first=first, held=held)
            try:
                yield blob
            finally:
                blob.close()
                self._keep(path, blob.held)
        except PermissionError as error:
            raise self.site.denied(path, error) from error
        except FileNotFoundError as error:
            if entry.size is None:
                raise
            message = f"is listed, but {error.strerror}"
            raise refused(message) from error

    def expect(self, headers: Mapping[str, int]) -> None:
        """Ask files for as many bytes first as their headers will have."""
        self._first |= {path: min(size, WHOLE) for path, size in headers.items()}

    def link(self, path: str) -> str | None:
        """Return None: nothing here is a link."""
        del path
        return None

    def real(self, path: str = "") -> Path | None:
        """Return None: this is no file system of this machine."""
        del path
        return None

    def heads(self, paths: Sequence[str]) -> dict[str, Part | OSError]:
        """Ask for the first bytes of files, many at a time, and keep them; return what came of each.

        Where a server was asked in vain it is not asked again.
        """
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            return dict(zip(paths, pool.map(self._head, paths), strict=True))

    def relist(self, site: Site) -> None:
        """Go on with another listing of the same place."""
        self.site = site
        self._lists = {}

    def _head(self, path: str) -> Part | OSError:
        try:
            with self.open(path) as blob:
                blob.read(0, 1)
                return blob.held[0]
        except OSError as error:
            if isinstance(error, ConnectionError):
                self._failed[path] = error
            return error

    def _ask(self, path: str, start: int, stop: int) -> Future[Part]:
        return client().ask(self.site.address(path), start, stop)

    def _list(self, folder: str) -> Listing | None:
        """List a folder once, and only if the one above it has it."""
        if folder not in self._lists:
            above, _, name = folder.rpartition("/")
            holder = self._list(above) if folder else None
            if folder and (holder is None or name not in holder.folders):
                return None
            try:
                self._lists[folder] = self.site.list(folder)
            except OSError as error:
                message = f"{self.name}/{printable(folder)} cannot be listed: {error.strerror or error}"
                raise UsageError(message) from error
        return self._lists[folder]

    def _keep(self, path: str, held: Sequence[Part]) -> None:
        with self._lock:
            before = sum(len(part.data) for part in self._kept.get(path, ()))
            more = sum(len(part.data) for part in held) - before
            if 0 < more <= self._room:
                self._room -= more
                self._kept[path] = tuple(held)

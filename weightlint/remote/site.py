"""What a place on the network has to tell: its folders and files, and where to ask for them.

How bytes are read is not its business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.remote.address import Address


class Entry(NamedTuple):
    """One file of a listing. `size` is None where only asking for the file tells.

    `version` is the ETag that answers will have, "" where that is not known. `fixed` says that the content at this
    address never changes: then `version` is its name, whatever answers say.
    `digest` is an algorithm and a hash of the whole file.
    """

    size: int | None = None
    version: str = ""
    fixed: bool = False
    digest: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What one folder holds: files by name, and folders."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()


def listed(entries: Mapping[str, Entry], folder: str) -> Listing:
    """Return one folder of files that are known by their paths."""
    prefix = f"{folder}/" if folder else ""
    below = {path[len(prefix) :]: entry for path, entry in entries.items() if path.startswith(prefix)}
    return Listing(
        {name: entry for name, entry in below.items() if "/" not in name},
        frozenset(name.partition("/")[0] for name in below if "/" in name),
    )


class Site(Protocol):
    """One folder on the network; it can be pickled."""

    @property
    def name(self) -> str:
        """Return the folder as a report calls it, without passwords and signatures."""

    @property
    def origin(self) -> str:
        """Return what says the hashes of a listing, in words that follow `from`."""

    @property
    def commit(self) -> str | None:
        """Return the revision, None where there are none."""

    def list(self, folder: str) -> Listing:
        """List one folder that is known to be there.

        Raises:
            OSError: it cannot be listed.
        """

    def address(self, path: str) -> Address:
        """Return where to ask for a file now; what it is signed with may last an hour."""

    def denied(self, path: str, error: PermissionError) -> Exception:
        """Return what to raise where the server lets us not read a file."""


@runtime_checkable
class Told(Protocol):
    """A store that was told by a site what there is."""

    site: Site

    def entry(self, path: str) -> Entry | None:
        """Return what the listing says of a file, None if it is not there."""

"""Hashes in the listing of a remote checkpoint: the tree of a Hugging Face repository, the rows of a bucket.

The hub lists the sha256 of each large file and git's hash of each small one (`lfs.oid` and `oid` of its tree API),
Google Cloud Storage the md5 of what was uploaded in one piece. S3's ETag is a hash of the content only sometimes
(AWS, "Checking object integrity"), and is not believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.digest import Digest
from weightlint.remote.site import Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.store import Store


class RemoteListing:
    """Listings of stores that are not on this machine."""

    name = "remote_listing"
    says = "the listing of a Hugging Face repository or a bucket"

    def find(self, store: Store, files: Sequence[str]) -> Iterator[Digest]:
        """Yield the hash that the listing gives for each of these files."""
        if not isinstance(store, Told):
            return
        for file in files:
            entry = store.entry(file)
            if entry is not None and entry.digest is not None:
                algorithm, value = entry.digest
                yield Digest(
                    file=file,
                    algorithm=algorithm,
                    value=value,
                    size=entry.size,
                    origin=store.site.origin,
                    commit=store.site.commit,
                )


SOURCE = RemoteListing()

"""Buckets: s3:// and gs://, with the listings and credentials of s3fs and gcsfs.

Credentials are looked for where these libraries do: AWS_PROFILE, ~/.aws, application default credentials,
fsspec's own settings. Without any, a bucket is read as the public sees it. Bytes are asked for at signed addresses.
"""

from __future__ import annotations

import base64
import binascii
import errno
import logging
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from weightlint.finding import printable
from weightlint.remote.address import Address, scheme_of
from weightlint.remote.site import Entry, Listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.store import Opener, Store

SIGNED = 3600
"""Seconds that the signature of an address is good for."""

_QUERY = re.compile(r"\?\S*")


@dataclass(frozen=True)
class Bucket:
    """A folder in a bucket: `root` is `bucket/path`; `public` reads it without credentials."""

    scheme: str
    root: str
    public: bool = False

    @property
    def name(self) -> str:
        """Return the address of the folder."""
        return f"{self.scheme}://{printable(self.root)}"

    @property
    def origin(self) -> str:
        """Return what says the hashes of the listing."""
        return "the listing of the bucket"

    @property
    def commit(self) -> str | None:
        """Return None: a bucket has no revisions."""
        return None

    @cached_property
    def files(self) -> Any:
        """Return the file system that knows protocol and credentials."""
        for name in ("gcsfs", "google.auth", "s3fs"):
            # what they log as a warning comes back to us as an error, and is told once
            logging.getLogger(name).addHandler(logging.NullHandler())
        if self.scheme == "s3":
            from s3fs import S3FileSystem

            # an address is signed for the region of its bucket
            return S3FileSystem(cache_regions=True, **({"anon": True} if self.public else {}))
        # the class that gcsfs itself offers asks for the layout of every bucket by another protocol first
        from gcsfs.core import GCSFileSystem

        return GCSFileSystem()

    def __getstate__(self) -> dict[str, object]:
        return {"scheme": self.scheme, "root": self.root, "public": self.public}

    def list(self, folder: str) -> Listing:
        """List one folder."""
        path = f"{self.root}/{folder}".rstrip("/")
        rows = [
            (row["name"].removeprefix(f"{path}/"), row) for row in _asked(self.files.ls, path, detail=True)
        ]
        named = [(name, row) for name, row in rows if name and "/" not in name.rstrip("/")]
        return Listing(
            {name: _entry(row) for name, row in named if row["type"] == "file"},
            frozenset(name.rstrip("/") for name, row in named if row["type"] != "file"),
        )

    def address(self, path: str) -> Address:
        """Return an address that is signed, or comes with the headers that open it."""
        full = f"{self.root}/{path}"
        if self.scheme == "s3":
            return Address(_asked(self.files.sign, full, expiration=SIGNED))
        headers: dict[str, str] = {}
        self.files.credentials.apply(headers)
        return Address(self.files.url(full), headers)

    def denied(self, path: str, error: PermissionError) -> Exception:
        """Return the error as it is: other files of the bucket may be open to us."""
        del path
        return error


def _entry(row: Mapping[str, Any]) -> Entry:
    """Read a row of a listing; Google gives an md5 of what was not put together from parts, S3 nothing to rely on."""
    return Entry(int(row["size"]), str(row.get("ETag") or ""), digest=_md5(row.get("md5Hash")))


def _md5(text: object) -> tuple[str, str] | None:
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    return ("md5", raw.hex()) if len(raw) == 16 else None


def _asked(ask: Any, *args: Any, **options: Any) -> Any:
    """Call a library; whatever error it has of its own becomes one of the system's.

    Raises:
        OSError: with what the library says, without the query of an address.
    """
    try:
        return ask(*args, **options)
    except OSError:
        raise
    except Exception as error:
        # botocore, aiohttp and google-auth each have a tree of errors
        message = _QUERY.sub("", printable(str(error) or type(error).__name__))
        raise ConnectionError(errno.EIO, message) from error


@dataclass(frozen=True, slots=True)
class Buckets:
    """What opens s3:// and gs://."""

    schemes: tuple[str, ...] = ("s3", "gs")

    def open(self, target: str) -> tuple[Store, str]:
        """Return the folder, and the name of the file where the target is one."""
        from weightlint.remote.store import RemoteStore

        scheme = scheme_of(target) or ""
        path = target.partition("://")[2].strip("/")
        if not path:
            raise FileNotFoundError(errno.ENOENT, "names no bucket")
        site, kind = _found(Bucket(scheme, path))
        if kind != "file":
            return RemoteStore(site), ""
        folder, _, name = path.rpartition("/")
        return RemoteStore(Bucket(scheme, folder, site.public)), name


def _found(site: Bucket) -> tuple[Bucket, str]:
    """Return how a place is read, with credentials or as the public, and of what type it is."""
    site.files.invalidate_cache()
    try:
        return site, _asked(site.files.info, site.root)["type"]
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "no such file or folder") from error
    except PermissionError as error:
        why = "no permission to read it; credentials are taken from where the cloud's own tools keep them"
        raise PermissionError(errno.EACCES, why) from error
    except ConnectionError as error:
        if site.public or type(error.__cause__).__name__ != "NoCredentialsError":
            raise
        return _found(Bucket(site.scheme, site.root, public=True))


STORE: Opener = Buckets()

"""Addresses: their scheme, what of them may be shown, and where a redirect may lead.

What comes after `?`, before `@` and after `#` may be a password or a signature, and is never shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from weightlint.finding import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_LEGAL = "%!#$&'()*+,/:;=?@[]~"
"""Characters that have a meaning in an address; all others are escaped."""


class Address(NamedTuple):
    """Where to ask for a file, and the headers that this server, and no other, is given."""

    url: str
    headers: Mapping[str, str] = {}


def scheme_of(target: str) -> str | None:
    """Return the scheme of an address in lower case, None for a plain path."""
    match = _SCHEME.match(target)
    return match[1].lower() if match else None


def shown(target: str) -> str:
    """Return an address without user, password, query and fragment, escaped; a plain path as it is."""
    if scheme_of(target) is None:
        return target
    scheme, _, rest = target.partition("://")
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return printable(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")


def followed(url: str, location: str) -> str | None:
    """Return where a redirect leads, None where it must not be followed: to another scheme than http or https, or out of https."""
    to = escaped(urljoin(url, location.partition("#")[0])) if is_sound(location) else ""
    scheme = scheme_of(to)
    return to if is_sound(to) and (scheme == "https" or scheme == scheme_of(url) == "http") else None


def escaped(url: str) -> str:
    """Escape what must not stand in an address as it is; what is escaped already stays."""
    return quote(url, safe=_LEGAL, errors="surrogateescape")


def is_sound(url: str) -> bool:
    """Tell whether an address can be taken apart."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return True


def origin(url: str) -> str:
    """Return scheme, host and port: what a password is for."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"

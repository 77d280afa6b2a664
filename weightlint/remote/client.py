"""One HTTP client for all remote files: ranges, checked answers, redirects, patience, at most 16 requests at a time.

aiohttp in the event loop of fsspec. Redirects are followed here, because a password must not follow them to another
server, nor a request to another scheme.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from weightlint import __version__
from weightlint.remote import patience
from weightlint.remote.address import Address, followed, origin
from weightlint.remote.answer import AgainError, Promise, ignored, promised, refused

if TYPE_CHECKING:
    from concurrent.futures import Future

    import aiohttp

IN_FLIGHT = 16
"""Requests at a time."""

HOPS = 10
"""Redirects in a row."""

CONNECT = 15.0
SILENCE = 30.0
SLOWEST = 1 << 15
"""Seconds for a connection, seconds without a byte, and bytes a second, below which a request is given up."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(slots=True)
class Part:
    """Bytes of a file from `start` on; the file has `total` bytes, and `tag` changes when it does."""

    start: int
    data: bytearray
    total: int = 0
    tag: str = ""


class Client:
    """Asks for ranges; it may be used from any thread."""

    def __init__(self) -> None:
        from fsspec.implementations.http import HTTPFileSystem

        self._files = HTTPFileSystem(get_client=_session, skip_instance_cache=True)
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._moved: dict[str, str] = {}
        self._quiet = 0.0

    def ask(self, address: Address, start: int, stop: int) -> Future[Part]:
        """Ask for the bytes [start, stop); fewer come only where the file ends.

        The future raises:
            OSError: FileNotFoundError, PermissionError, or else ConnectionError, which says why.
            RangesIgnoredError: the server would send more than was asked for.
        """
        return asyncio.run_coroutine_threadsafe(self._ask(address, start, stop), self._files.loop)

    async def _ask(self, address: Address, start: int, stop: int) -> Part:
        got, waited = Part(start, bytearray()), 0.0
        async with self._room:
            for tries in range(1, patience.TRIES + 1):
                try:
                    return await self._try(address, got, stop)
                except AgainError as error:
                    if tries == patience.TRIES:
                        message = f"{error} ({tries} tries)"
                        raise refused(message) from error
                    waited += await self._wait(patience.delay(tries, error.after), waited, error)
        raise AssertionError

    async def _wait(self, seconds: float, waited: float, error: AgainError) -> float:
        """Wait and return how long; where the server asked for it, let all others wait as well."""
        if waited + seconds > patience.PATIENT:
            message = f"{error} and asks us to wait {seconds:,.0f} seconds"
            raise refused(message) from error
        if error.after is not None:
            self._quiet = max(self._quiet, asyncio.get_running_loop().time() + seconds)
        await asyncio.sleep(seconds)
        return seconds

    async def _try(self, address: Address, got: Part, stop: int) -> Part:
        import aiohttp

        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._quiet - loop.time()))
        try:
            async with asyncio.timeout(SILENCE + (stop - got.start) / SLOWEST):
                return await self._once(address, got, stop)
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorDNSError, ValueError) as error:
            raise refused(_why(error)) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionResetError) as error:
            raise AgainError(_why(error)) from error

    async def _once(self, address: Address, got: Part, stop: int) -> Part:
        """Send a request where the file was found last time, or where it should be, and on from there."""
        import yarl

        session = await self._files.set_session()
        known = self._moved.get(address.url)
        url = known or address.url
        span = {"Range": f"bytes={got.start + len(got.data)}-{stop - 1}"}
        for _ in range(HOPS):
            headers = {**address.headers, **span} if origin(url) == origin(address.url) else span
            target = yarl.URL(url, encoded=True)
            async with session.get(
                target, headers=headers, allow_redirects=False, proxy=_proxy(url)
            ) as reply:
                if reply.status in _REDIRECTS:
                    url = _next(url, reply.headers.get("Location", ""))
                    continue
                if known is not None and reply.status in {400, 401, 403, 404, 410}:
                    # a signed address that has expired: ask where the file is now
                    self._moved.pop(address.url, None)
                    return await self._once(address, got, stop)
                part = await _taken(reply, got, stop)
                if url != address.url:
                    self._moved[address.url] = url
                return part
        message = f"the server redirects more than {HOPS} times"
        raise refused(message)


def client() -> Client:
    """Return the client of this process; one that was forked has to make its own."""
    return _client(os.getpid())


@cache
def _client(_: int) -> Client:
    return Client()


async def _session(**options: Any) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        **options,
        headers={"Accept-Encoding": "identity", "User-Agent": f"weightlint/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE),
        connector=aiohttp.TCPConnector(limit=0, loop=options.get("loop")),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        # neither a .netrc, which would meet signed addresses, nor proxies, which are asked for below
        trust_env=False,
    )


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for an address (https_proxy, no_proxy)."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    return None if proxy is None or proxy_bypass(parts.hostname or "") else proxy


def _next(url: str, location: str) -> str:
    to = followed(url, location)
    if to is None:
        scheme = location.partition(":")[0] if ":" in location else "nowhere"
        message = (
            f"the server redirects from {url.partition(':')[0]} to {scheme[:20]!r}, which is not followed"
        )
        raise refused(message)
    return to


async def _taken(reply: aiohttp.ClientResponse, got: Part, stop: int) -> Part:
    """Read the bytes that an answer promises behind those that are there already, and no more."""
    tag = reply.headers.get("ETag") or reply.headers.get("Last-Modified") or ""
    promise = promised(reply.status, reply.headers, got.start + len(got.data), stop)
    if promise.start < got.start:
        raise ignored(promise.total)
    del got.data[promise.start - got.start :]
    if got.data and got.tag != tag:
        got.data.clear()
        message = "the file changed while it was sent"
        raise AgainError(message)
    got.tag = tag
    got.total = await _read(reply, promise, got, stop)
    end = min(stop, got.total)
    if got.start + len(got.data) < end:
        message = f"only {len(got.data):,} of {end - got.start:,} bytes came"
        raise AgainError(message)
    return got


async def _read(reply: aiohttp.ClientResponse, promise: Promise, got: Part, stop: int) -> int:
    """Take what an answer brings into `got`; return the size of the file."""
    room = stop - promise.start + 1 if promise.length is None else promise.length
    while room > 0:
        piece = await reply.content.readany()
        if not piece:
            break
        got.data.extend(piece[:room])
        room -= len(piece)
    if promise.total is not None:
        return promise.total
    if room <= 0:
        raise ignored(None)
    return got.start + len(got.data)


def _why(error: Exception) -> str:
    """Say what happened, without the address that aiohttp would tell."""
    import aiohttp

    match error:
        case TimeoutError():
            return "the server is too slow or silent"
        case aiohttp.ClientConnectorDNSError():
            return f"there is no server {error.host}"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return f"no safe connection to {error.host}: its certificate is not trusted or its TLS fails"
        case aiohttp.ClientConnectorError():
            return f"no connection to {error.host}:{error.port}"
        case ValueError():
            return "is at no address that can be asked"
        case aiohttp.ClientPayloadError():
            return "the server broke off its answer"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError() | aiohttp.ClientOSError():
            return "the server hung up"
    return f"the server's answer cannot be read ({type(error).__name__})"

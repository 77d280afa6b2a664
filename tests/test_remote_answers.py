"""Answers of servers taken by themselves: whatever they say, no more is believed than was asked for."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightlint import api
from weightlint.errors import UsageError
from weightlint.remote import patience
from weightlint.remote.answer import AgainError, promised

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = st.one_of(
    st.integers(0, 1 << 70).map(str), st.sampled_from(["*", "", "-1", "0x9", "9" * 30, " 1", "²"])
)
RANGES = st.one_of(
    st.builds("bytes {}-{}/{}".format, NUMBERS, NUMBERS, NUMBERS),
    st.builds("bytes */{}".format, NUMBERS),
    st.text(max_size=20),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Range": RANGES,
        "Content-Length": NUMBERS,
        "Content-Encoding": st.sampled_from(["gzip", "identity", "", "br, gzip"]),
        "Transfer-Encoding": st.sampled_from(["chunked", "gzip"]),
        "Retry-After": NUMBERS,
        "RateLimit": st.text(max_size=20),
    },
)


@given(
    status=st.one_of(st.sampled_from([200, 206, 416]), st.integers(100, 999)),
    headers=HEADERS,
    start=st.integers(0, 1 << 40),
    length=st.integers(1, 1 << 30),
)
def test_no_answer_promises_more_than_was_asked(
    status: int, headers: dict[str, str], start: int, length: int
) -> None:
    stop = start + length
    try:
        promise = promised(status, headers, start, stop)
    except (AgainError, OSError, UsageError):
        return
    assert status in {200, 206, 416}
    assert promise.start in {0, start}
    assert promise.length is None or promise.start + promise.length <= stop
    assert promise.total is None or promise.start + (promise.length or 0) <= max(promise.total, start)


@contextmanager
def raw(answer: bytes) -> Iterator[str]:
    """Answer every connection with these bytes and hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer, suppress(OSError):
                        peer.recv(1 << 16)
                        peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/model.safetensors"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 1000,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 206 OK\r\n\r\n",
        b"HTTP/1.1 999 OK\r\n\r\n",
        b"HTTP/9.9 206 OK\r\nContent-Range: bytes 0-9/10\r\n\r\n0123456789",
        b"HTTP/1.1 206 OK\r\nContent-Length: -1\r\nContent-Range: bytes 0-9/10\r\n\r\n0123456789",
        b"HTTP/1.1 206 OK\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\n0123456789",
        b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-9/10\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-9/10\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n0",
        b"HTTP/1.1 206 OK\r\n" + b"X-Y: z\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 206 OK\r\nX-Y: " + b"z" * 10_000_000,
        b"HTTP/1.1 302 OK\r\nLocation: http://\r\n\r\n",
        b"HTTP/1.1 302 OK\r\nLocation: \xff\xfe\r\n\r\n",
        b"HTTP/1.1 302 OK\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 OK\r\nLocation: http://a:b@c:99999/\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Slow\r\nRetry-After: Fri, 31 Dec 999999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=range(20),
)
def test_garbage_is_an_error_of_the_server_and_no_crash(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp", reason="the client of weightlint[remote]")
    monkeypatch.setattr(patience, "FIRST", 0.001)
    with (
        raw(answer) as url,
        pytest.raises(UsageError, match=r"^http://127\.0\.0\.1:\d+/model\.safetensors: ."),
    ):
        api.check(url)

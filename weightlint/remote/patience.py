"""How often a server is asked again, and how long is waited before."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

TRIES = 5
"""Times that a range is asked for in all."""

FIRST = 0.5
"""Seconds before the second try; each further one waits twice as long, up to `LONGEST`."""

LONGEST = 20.0

PATIENT = 300.0
"""Seconds that a server may ask us to wait; one that asks for more is given up."""


def delay(tries: int, asked: float | None) -> float:
    """Return the seconds to wait after a number of tries: what the server asked for, else longer every time.

    A random part keeps the requests that failed together from coming again together.
    """
    longest = min(LONGEST, FIRST * 2 ** (tries - 1))
    spread = random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
    return spread * longest if asked is None else asked + spread * FIRST


def wanted(retry_after: str | None) -> float | None:
    """Return the seconds that a header `Retry-After` asks for, as a number or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isdecimal() and text.isascii():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None

"""How often a server is asked again, and how long is waited before."""

from __future__ import annotations

import random
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIES = 5
"""Times that a range is asked for in all."""

FIRST = 0.5
"""Seconds before the second try; each further one waits twice as long, up to `LONGEST`."""

LONGEST = 20.0

PATIENT = 300.0
"""Seconds that are waited for one range in all; a server that asks for more is given up."""


_RESET = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})")


def delay(tries: int, asked: float | None) -> float:
    """Return the seconds to wait after a number of tries: what the server asked for, else longer every time.

    A random part keeps the requests that failed together from coming again together.
    """
    longest = min(LONGEST, FIRST * 2 ** (tries - 1))
    spread = random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
    return spread * longest if asked is None else asked + spread * FIRST


def wanted(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks us to wait, None if it does not say.

    `Retry-After` is a number or a date (RFC 9110, 10.2.3). Hugging Face says in `RateLimit` when its window ends
    (draft-ietf-httpapi-ratelimit-headers-09).
    """
    text = headers.get("Retry-After", "").strip()
    window = _RESET.search(headers.get("RateLimit", ""))
    if not text:
        return float(window[1]) if window else None
    if text.isdecimal() and text.isascii():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None

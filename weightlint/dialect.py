"""What a dialect is: another spelling and layout of the same model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.expected import Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One spelling. `rewrite` gives the expectation as this dialect writes it.

    `title` says whose spelling it is, `cure` how to come back to Hugging Face names.
    """

    name: str
    title: str
    rewrite: Callable[[Expected], Expected]
    cure: str

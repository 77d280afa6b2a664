"""Errors that stop a run: weightlint itself could not look.

What is wrong with a checkpoint is never an exception, it is a `Finding`; a check that does not
apply is a `Skip`. Only these leave the API:

    WeightlintError           exit code 2, one line on stderr
      UsageError              the command asks for what is not there: path, option, architecture
        NothingFoundError     the path is there and holds nothing to read: exit code 3
        DialectError          a dialect has no way of writing this model
      SchemaError             a schema file is wrong
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class WeightlintError(Exception):
    """Base of every error that weightlint raises on purpose; `exit_code` is that of the command."""

    exit_code = 2


class UsageError(WeightlintError):
    """The request cannot be carried out as it was made."""


class NothingFoundError(UsageError):
    """What the user points at holds nothing that can be read: exit code 3."""

    exit_code = 3


class DialectError(UsageError):
    """A dialect has no such variant, or no way of writing this model."""


class SchemaError(WeightlintError):
    """A schema file is not valid, or expands to something impossible."""


def nearest(word: str, known: Iterable[str], *, limit: int = 3) -> str:
    """Return a hint like ` (nearest: a, b)` for a misspelt word, or an empty text."""
    close = difflib.get_close_matches(word, list(known), n=limit, cutoff=0.5)
    return f" (nearest: {', '.join(close)})" if close else ""

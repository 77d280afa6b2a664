"""Where results are kept from one verification to the next."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from weightlint.errors import UsageError
from weightlint.remote.address import scheme_of, shown


def place(target: str) -> Path:
    """Return the file that keeps the results of a target: below XDG_CACHE_HOME, named by a hash of the target's path or address.

    Raises:
        UsageError: there is no folder for it.
    """
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = home / "weightlint"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        message = f"--cache has no place to keep results ({why}); give a file with --resume"
        raise UsageError(message) from error
    known = os.path.realpath(target) if scheme_of(target) is None else shown(target)
    return folder / f"verify-{hashlib.sha256(known.encode(errors='surrogateescape')).hexdigest()[:32]}.json"

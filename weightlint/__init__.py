"""Tell whether a checkpoint will load, before a byte of its weights is moved.

The front door: version and the few names that programs use, each imported on first use, so that
`import weightlint` loads nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightlint.api import check
    from weightlint.finding import Finding, Level, Report

__version__ = "0.1.0"

__all__ = ("Finding", "Level", "Report", "__version__", "check")

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        from importlib import import_module

        return getattr(import_module("weightlint.api" if name == "check" else "weightlint.finding"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

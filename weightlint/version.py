"""Versions of frameworks: `vllm@0.8.4`, and ranges such as `>=0.5.8,<0.6`."""

from __future__ import annotations

from weightlint.errors import UsageError


def split_spec(spec: str) -> tuple[str, str | None]:
    """Take `name@version` apart; the version is None where none is given."""
    name, at, version = spec.partition("@")
    return name.strip(), version.strip() if at else None


def within(version: str, span: str) -> bool:
    """Tell whether a version lies in a range; every version lies in the empty one.

    Raises:
        UsageError: the version is none.
    """
    if not span:
        return True
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(span).contains(Version(version), prereleases=True)
    except InvalidVersion as error:
        message = f"{version!r} is no version; write it as in `pip show`: 0.8.4, 0.4.6.post5"
        raise UsageError(message) from error

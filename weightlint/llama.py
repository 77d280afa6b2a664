"""llama.cpp as the loader of GGUF files: its releases, the architectures that each knows, and its own words.

Releases are those of llama-cpp-python; a build of llama.cpp itself, `b9445`, stands for the last release that
carries it or one before it. Facts are in `schemas/gguf/_llama_cpp.toml`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from weightlint.edition import choose
from weightlint.schema import folder, table

if TYPE_CHECKING:
    from weightlint.loader import Release

NAME = "llama_cpp"
_BUILD = re.compile(r"b(\d+)")


def facts() -> dict[str, Any]:
    """Read what is known of llama.cpp's releases."""
    return table(folder() / "gguf" / "_llama_cpp.toml")


def release_of(loader: Release | None) -> str | None:
    """Return the release of llama.cpp that a loader stands for; None for the newest and for any other loader."""
    return built(loader.version) if loader is not None and loader.name == NAME else None


def releases() -> tuple[str, ...]:
    """Return the releases that are known here, oldest first."""
    return tuple(facts()["architectures"])


def built(version: str) -> str:
    """Return the release that stands for a version: itself, or of a build the last one that is not newer.

    Builds before the first that is established belong to the oldest release.
    """
    found = _BUILD.fullmatch(version)
    if found is None:
        return version
    known = facts()
    older = [release for release, build in known["builds"].items() if build <= int(found[1])]
    return older[-1] if older else releases()[0]


def is_settled(version: str) -> bool:
    """Tell whether a version is a release, or a build not older than the first one whose number is established."""
    found = _BUILD.fullmatch(version)
    return found is None or int(found[1]) >= min(facts()["builds"].values())


def architectures(release: str | None = None) -> frozenset[str]:
    """Return the architectures that a release knows, with a schema here or without; by default the newest."""
    from weightlint.version import within

    learned = facts()["architectures"]
    known = [names for first, names in learned.items() if release is None or within(first, f"<={release}")]
    return frozenset(name for names in known for name in names)


def learned(arch: str) -> str | None:
    """Return the first release that knows an architecture, or None if none does."""
    return next((first for first, names in facts()["architectures"].items() if arch in names), None)


def words(release: str | None) -> dict[str, str]:
    """Return what a release says where it stops, by cause."""
    return choose(facts()["words"], release)

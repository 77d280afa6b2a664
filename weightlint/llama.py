"""llama.cpp as the loader of GGUF files: its releases, the architectures that each knows, and its own words.

Releases are those of llama-cpp-python. Facts are in `schemas/gguf/_llama_cpp.toml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.edition import choose
from weightlint.schema import folder, table

if TYPE_CHECKING:
    from weightlint.loader import Release

NAME = "llama_cpp"


def facts() -> dict[str, Any]:
    """Read what is known of llama.cpp's releases."""
    return table(folder() / "gguf" / "_llama_cpp.toml")


def release_of(loader: Release | None) -> str | None:
    """Return the release of llama.cpp that is to read the file; None where no loader or another one is given."""
    return loader.version if loader is not None and loader.loader.name == NAME else None


def releases() -> tuple[str, ...]:
    """Return the releases that are known here, oldest first."""
    return tuple(facts()["architectures"])


def architectures(release: str | None = None) -> frozenset[str]:
    """Return the architectures that a release knows, with a schema here or without; by default the newest."""
    return _known("architectures", release)


def pre_tokenizers(release: str | None = None) -> frozenset[str]:
    """Return the values of tokenizer.ggml.pre that a release knows, by default the newest."""
    return _known("pre_tokenizers", release)


def _known(kind: str, release: str | None) -> frozenset[str]:
    from weightlint.version import within

    learned = facts()[kind]
    known = [names for first, names in learned.items() if release is None or within(first, f"<={release}")]
    return frozenset(name for names in known for name in names)


def learned(name: str, kind: str = "architectures") -> str | None:
    """Return the first release that knows an architecture or a pre-tokenizer, or None if none does."""
    return next((first for first, names in facts()[kind].items() if name in names), None)


def words(release: str | None) -> dict[str, str]:
    """Return what a release says where it stops, by cause."""
    return choose(facts()["words"], release)

"""What the sources of truth say about each other, before a byte is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.digest import Digest
    from weightlint.verifying.truths import Truths

FEW = 5
"""Files that one remark names."""


def remarks(truths: Truths) -> Iterator[str]:
    """Yield what a reader of the report must know of its sources: revisions mixed, disputes, files not there."""
    commits = truths.commits()
    if len(commits) > 1:
        (main, most), (second, few), *_ = commits.items()
        yield (
            f"the files are of {len(commits)} revisions: {len(most):,} of {main[:12]}, {_listed(few)} of {second[:12]}; "
            "together they may be no model that was ever published"
        )
    for one, other in truths.disputes():
        yield f"{printable(one.file)}: {_says(one)} and {_says(other)}; one of the two is of another file"
    if truths.absent:
        names = tuple(each.file for each in truths.absent)
        verb = "is" if len(names) == 1 else "are"
        yield f"{_listed(names)} {verb} listed in {truths.absent[0].origin} and not there"


def _says(digest: Digest) -> str:
    if digest.value is None:
        return f"{digest.origin} says {counted(digest.size or 0, 'byte')}"
    return f"{digest.origin} says {digest.algorithm} {digest.value[:12]}"


def _listed(files: tuple[str, ...]) -> str:
    rest = f" and {len(files) - FEW:,} more" if len(files) > FEW else ""
    return ", ".join(map(printable, files[:FEW])) + rest

"""What the sources of truth say about each other, before a byte is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.digest import Digest
    from weightlint.verifying.truths import Truths

FEW = 5
"""Files that one remark names, and disputes that are told one by one."""


def remarks(truths: Truths) -> Iterator[str]:
    """Yield what a reader of the report must know of its sources: revisions mixed, disputes, files not there."""
    commits = truths.commits()
    if len(commits) > 1:
        (main, most), (second, few), *_ = commits.items()
        yield (
            f"the files are of {len(commits)} revisions: {len(most):,} of {main[:12]}, {named(few)} of {second[:12]}; "
            "together they may be no model that was ever published"
        )
    disputes = [*truths.disputes()]
    for one, another in disputes[:FEW]:
        yield f"{printable(one.file)}: {_says(one)} and {_says(another)}; one of the two is of another file"
    if len(disputes) > FEW:
        yield f"sources contradict each other in {len(disputes) - FEW:,} more hashes"
    if truths.absent:
        names = tuple(each.file for each in truths.absent)
        verb = "is" if len(names) == 1 else "are"
        yield f"{named(names)} {verb} listed in {truths.absent[0].origin} and not there"


def _says(digest: Digest) -> str:
    if digest.value is None:
        return f"{digest.origin} says {counted(digest.size or 0, 'byte')}"
    return f"{digest.origin} says {digest.algorithm} {digest.value[:12]}"


def named(files: Sequence[str]) -> str:
    """Name the first few files."""
    rest = f" and {len(files) - FEW:,} more" if len(files) > FEW else ""
    return ", ".join(map(printable, files[:FEW])) + rest

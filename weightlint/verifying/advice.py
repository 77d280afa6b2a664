"""What to do about bytes that are wrong: it depends on whether somebody vouches for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.digest import Digest
    from weightlint.probe import Job, Row
    from weightlint.verifying.tally import Tally


def cure(tally: Tally, files: tuple[str, ...]) -> str:
    """Return what to do about damage in these files."""
    judged = [(file, *judge(tally, file)) for file in files]
    wrong = [file for file, _, bad in judged if bad]
    if wrong:
        return f"download {', '.join(wrong[:3])} again: its bytes are not those that were published"
    if judged and all(good for _, good, _ in judged):
        return (
            f"the file is as it was published ({judged[0][1][0].origin} vouches for it), so downloading it again will not "
            "help: take another revision, or tell the publisher"
        )
    return (
        "compare the file's sha256 with the publisher's (--against FILE) and download it again if it differs; if not, it was "
        "published like this: take another revision, or tell the publisher"
    )


def judge(tally: Tally, file: str) -> tuple[list[Digest], list[tuple[Digest, str]]]:
    """Return what vouches for a file, and what contradicts it with the hash that was found."""
    good: list[Digest] = []
    bad: list[tuple[Digest, str]] = []
    found = dict(_found(tally, file))
    sizes = {job.size for job in tally.jobs.values() if job.file == file}
    for digest in tally.digest_of(file):
        size = next(iter(sizes), None)
        if digest.size is not None and size is not None and digest.size != size:
            bad.append((digest, f"{size:,} bytes"))
        elif digest.value is not None and size is not None:
            stop = size if digest.stop is None else min(digest.stop, size)
            seen = found.get(f"{digest.algorithm}:{digest.start}-{stop}")
            if seen is not None:
                good += [digest] if seen == digest.value else []
                bad += [] if seen == digest.value else [(digest, seen)]
    return good, bad


def _found(tally: Tally, file: str) -> Iterator[tuple[str, str]]:
    for job, row in of_file(tally, file):
        del job
        yield from row.digests.items()


def of_file(tally: Tally, file: str) -> Iterator[tuple[Job, Row]]:
    """Yield the jobs of one file that are done."""
    return ((job, row) for job, row in tally.entries() if job.file == file)

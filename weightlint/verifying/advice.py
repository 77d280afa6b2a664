"""What to do about bytes that are wrong: it depends on whether somebody vouches for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.probe import Hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.digest import Digest
    from weightlint.probe import Job, Row, Span
    from weightlint.verifying.tally import Tally


def cure(tally: Tally, files: tuple[str, ...]) -> str:
    """Return what to do about damage in these files."""
    judged = [(file, *judge(tally, file)) for file in files]
    wrong = [file for file, _, bad in judged if bad]
    if wrong:
        return f"download {', '.join(wrong[:3])} again: its bytes are not those that were published"
    if judged and all(good for _, good, _ in judged):
        return (
            f"the file is as it was published, by {judged[0][1][0].origin}, so downloading it again will not help: take "
            "another revision, or tell the publisher"
        )
    return (
        "compare the file's sha256 with the publisher's (--against FILE) and download it again if it differs; if not, it was "
        "published like this: take another revision, or tell the publisher"
    )


def judge(tally: Tally, file: str) -> tuple[list[Digest], list[tuple[Digest, str]]]:
    """Return what vouches for all bytes of a file, and what contradicts it with the hash or size that was found."""
    good: list[Digest] = []
    bad: list[tuple[Digest, str]] = []
    entries = [*of_file(tally, file)]
    if not entries:
        return good, bad
    size = entries[0][0].size
    found = {key: value for _, row in entries for key, value in row.digests.items()}
    spans = tuple(span for job, _ in entries for span in job.spans)
    for digest in tally.digest_of(file):
        if digest.size not in {None, size}:
            bad.append((digest, f"{size:,} bytes"))
            continue
        place = bytes_of(digest, spans, size)
        seen = found.get(Hash(digest.algorithm, *place).key) if place and digest.value else None
        if seen is not None and seen != digest.value:
            bad.append((digest, seen))
        elif seen is not None and digest.is_whole:
            good.append(digest)
    return good, bad


def bytes_of(digest: Digest, spans: Sequence[Span], size: int) -> tuple[int, int] | None:
    """Return the bytes [start, stop) of a file that a digest is of, None where the file has no such bytes."""
    if digest.tensor is not None:
        return next(((span.start, span.stop) for span in spans if span.name == digest.tensor), None)
    stop = size if digest.stop is None else digest.stop
    return (digest.start, stop) if digest.start <= stop <= size and digest.size in {None, size} else None


def of_file(tally: Tally, file: str) -> Iterator[tuple[Job, Row]]:
    """Yield the jobs of one file that are done."""
    return ((job, tally.rows[job.key]) for job in tally.files.get(file, ()) if job.key in tally.rows)

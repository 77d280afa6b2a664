"""All that is written down of the hashes of a checkpoint's files, gathered from every source.

Nothing is hashed here. Two sources that contradict each other are both kept: one of them names a file that is not
the one on the disk, and only its bytes tell which.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from weightlint.digest import SOURCES, STRENGTH, Digest, Remark, lacking
from weightlint.finding import counted
from weightlint.format import format_of
from weightlint.series import alike
from weightlint.verifying.given import read_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from weightlint.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Truths:
    """What the files of a checkpoint should hash to.

    `digests` are by file, those of whole files first and of them the strongest; equal ones of several sources are
    one, with all their origins. `absent` are of tensor files that are not there, though others of their numbered
    series are. `notes` say for a report which source spoke and of how many files.
    """

    digests: Mapping[str, tuple[Digest, ...]] = field(default_factory=dict)
    absent: tuple[Digest, ...] = ()
    notes: tuple[str, ...] = ()

    def algorithms(self, file: str) -> tuple[str, ...]:
        """Return what to compute over the whole file, the strongest first."""
        told = self.digests.get(file, ())
        return tuple(dict.fromkeys(each.algorithm for each in told if each.is_whole and each.value))

    def disputes(self) -> Iterator[tuple[Digest, Digest]]:
        """Yield pairs of digests of the same bytes that cannot both be right: each one with the first."""
        for told in self.digests.values():
            firsts: dict[tuple[object, ...], Digest] = {}
            for each in told:
                met = [(key[0], firsts.setdefault(key, each)) for key in _comparable(each)]
                yield from ((one, each) for what, one in met if _differ(one, each, what))

    def commits(self) -> dict[str, tuple[str, ...]]:
        """Return the files that each commit is told of, the commit with most files first."""
        found: dict[str, list[str]] = defaultdict(list)
        for file, told in self.digests.items():
            for commit in dict.fromkeys(filter(None, (each.commit for each in told))):
                found[commit].append(file)
        ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
        return {commit: tuple(files) for commit, files in ordered}


def gather(store: Store, files: Sequence[str], against: Sequence[Path] = ()) -> Truths:
    """Ask every source of truth about these files of a folder, and those that the user gives.

    Raises:
        UsageError: a file or folder of `against` says nothing of these files.
    """
    said: list[Digest | Remark] = []
    for source in SOURCES.values():
        said += source.find(store, files)
    for path in against:
        said += read_given(path, files)
    digests = [each for each in said if isinstance(each, Digest)]
    remarks = [each.text for each in said if isinstance(each, Remark)]
    lack = {algorithm: lacking(algorithm) for algorithm in {each.algorithm for each in digests}}
    remarks += [_left_aside(digests, algorithm, what) for algorithm, what in sorted(lack.items()) if what]
    digests = [each for each in digests if not lack[each.algorithm]]
    mine = [each for each in digests if each.file in set(files)]
    return Truths(
        digests=_by_file(mine, files),
        absent=tuple(_absent(store, digests, files)),
        notes=(*_counts(mine, len(files)), *dict.fromkeys(remarks)),
    )


def _left_aside(digests: Iterable[Digest], algorithm: str, lack: str) -> str:
    of = [each for each in digests if each.algorithm == algorithm]
    files = len({each.file for each in of})
    return (
        f"the {algorithm} of {counted(files, 'file')} from {of[0].origin} was not compared: that takes {lack}"
    )


def _by_file(digests: Iterable[Digest], files: Sequence[str]) -> dict[str, tuple[Digest, ...]]:
    found: dict[str, list[Digest]] = {file: [] for file in files}
    for digest in digests:
        found[digest.file].append(digest)
    return {file: tuple(sorted(_merged(told), key=_order)) for file, told in found.items() if told}


def _merged(told: Iterable[Digest]) -> Iterator[Digest]:
    """Make one of digests that say the same; what one source does not doubt is not in doubt."""
    same: dict[tuple[object, ...], list[Digest]] = defaultdict(list)
    for each in told:
        same[each.algorithm, each.value, each.start, each.stop, each.tensor].append(each)
    for group in same.values():
        sizes = {each.size for each in group if each.size is not None}
        if len(sizes) > 1:
            yield from group
            continue
        yield replace(
            group[0],
            size=min(sizes, default=None),
            origin=" and ".join(dict.fromkeys(each.origin for each in group)),
            commit=next(filter(None, (each.commit for each in group)), None),
            doubt=group[0].doubt if all(each.doubt for each in group) else None,
        )


def _order(digest: Digest) -> tuple[bool, str, int, int]:
    known = digest.value is not None and digest.algorithm in STRENGTH
    strength = STRENGTH.index(digest.algorithm) if known else len(STRENGTH)
    return not digest.is_whole, digest.tensor or "", digest.start, strength


def _comparable(digest: Digest) -> Iterator[tuple[object, ...]]:
    """Yield what two digests have in common of which one must be wrong if they are not equal."""
    place = digest.start, digest.stop, digest.tensor
    if digest.size is not None:
        yield ("size", *place)
    if digest.value is not None:
        yield (digest.algorithm, *place)


def _differ(one: Digest, other: Digest, what: object) -> bool:
    return one.size != other.size if what == "size" else one.value != other.value


def _absent(store: Store, digests: Iterable[Digest], files: Sequence[str]) -> Iterator[Digest]:
    """Yield one digest of each listed file that is not there, though it belongs to a series of these files.

    Of files that stand alone nothing is said: whoever wants one quantisation downloads one.
    """
    series = set(filter(None, map(alike, files)))
    seen = set(files)
    for digest in digests:
        if digest.file not in seen and alike(digest.file) in series and format_of(digest.file):
            seen.add(digest.file)
            folder, _, name = digest.file.rpartition("/")
            if name not in store.names(folder):
                yield digest


def _counts(digests: Iterable[Digest], total: int) -> Iterator[str]:
    files: dict[tuple[str, str], set[str]] = defaultdict(set)
    for digest in digests:
        files[_what(digest), digest.origin].add(digest.file)
    for (what, origin), named in files.items():
        verb = "has" if len(named) == 1 else "have"
        yield f"{len(named):,} of {counted(total, 'file')} {verb} {what} from {origin}"


def _what(digest: Digest) -> str:
    if digest.value is None:
        return "a size"
    if digest.is_whole:
        return f"{'an' if digest.algorithm[0] in 'aeiou' else 'a'} {digest.algorithm}"
    return f"{digest.algorithm} of {'its tensors' if digest.tensor else 'its pieces'}"

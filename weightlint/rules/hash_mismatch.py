"""Bytes that are not those that were published, written down or checksummed.

Checks: every file against the hashes that lie on disk (names of Hugging Face blobs, download metadata, git-LFS pointers,
SHA256SUMS and the like), that were given with --against, or that are in a manifest of ours; the records of a torch archive against its own
CRC-32; with --every-node the copies of all nodes against each other.
Matters: downloads are damaged with the right size and a sound header (vLLM PR #53537, huggingface_hub #3643), and no loader
compares a hash; torch.load does not look at the CRC-32 that its own files carry.
Example: `model-00003-of-000163.safetensors is not the file that its name in the Hugging Face cache stands for`.
Cure: download the file again; with a manifest only the named byte ranges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.digest import ALL_TENSORS
from weightlint.finding import Level, Place, counted, printable
from weightlint.format import format_of
from weightlint.index import FaultKind
from weightlint.names import patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.digest import Digest
    from weightlint.finding import Finding
    from weightlint.verifying.damage import Damage
    from weightlint.verifying.discords import Discord

MAX_FILES, MAX_NODES = 4, 8


def check(case: Case) -> Iterator[Finding]:
    """Tell of files whose bytes somebody contradicts, each once."""
    from weightlint.verifying.advice import judge
    from weightlint.verifying.damage import damage
    from weightlint.verifying.discords import discords
    from weightlint.verifying.nodes import without

    torn = {fault.file for fault in case.faults(FaultKind.TORN, FaultKind.FOREIGN)}
    odd = {fault.file for fault in case.faults(FaultKind.MALFORMED)}
    for file in dict.fromkeys(job.file for job, _ in case.seen.entries()):
        hurt = damage(case.seen, file)
        _, bad = judge(case.seen, file)
        told = (file in torn - case.checkpoint.lost_files and hurt.is_of_size) or (
            file in odd and hurt.is_of_header
        )
        if hurt.pieces:
            # what differs in length or in a broken header is told by the rule that speaks of it
            if not told:
                yield _by_manifest(file, hurt)
        elif bad and not (file in torn and bad[0][0].size is not None):
            yield _by_digest(file, bad)
        elif hurt.records:
            yield _by_crc(file, hurt)

    yield from map(_by_node, discords(case.seen))
    for node in without(case.seen):
        yield RULE.finding(
            f"node {printable(node)} has no copy: there is nothing at {printable(case.seen.target)} on it",
            level=Level.WARNING,
            place=Place(),
            unit="node",
            cure="copy the checkpoint there, or leave the node out if it never loads it",
        )


def _by_node(discord: Discord) -> Finding:
    files = counted(len(discord.files), "file")
    what = "; ".join(f"{printable(file)} {how}" for file, how in [*discord.files.items()][:MAX_FILES])
    more = f"; and {len(discord.files) - MAX_FILES:,} more" if len(discord.files) > MAX_FILES else ""
    who, others = _named(discord.nodes), _named(discord.others)
    if discord.sure:
        hash_ = "what hashes say and " if discord.vouched else ""
        verb = "differs" if len(discord.files) == 1 else "differ"
        message = f"on {who} {files} {verb} from {hash_}what {others} {'holds' if len(discord.others) == 1 else 'hold'}: {what}{more}"
        cure = f"copy {files} to {who} again, from {printable(discord.others[0])}"
    else:
        message = (
            f"{who} and {others} hold other bytes of {files}, and nothing tells which are right: {what}{more}"
        )
        cure = "give the publisher's hashes with --against, or a manifest with --manifest, and verify again"
    return RULE.finding(
        message,
        place=Place(tensors=tuple(patterns(discord.names)), files=tuple(discord.files)),
        count=max(1, len(discord.names)),
        unit="tensor" if discord.names else "file",
        cure=cure,
    )


def _named(nodes: Sequence[str]) -> str:
    more = f" and {len(nodes) - MAX_NODES:,} more" if len(nodes) > MAX_NODES else ""
    return f"{'node' if len(nodes) == 1 else 'nodes'} {printable(', '.join(nodes[:MAX_NODES]))}{more}"


def _by_manifest(file: str, hurt: Damage) -> Finding:
    from weightlint.verifying.place import ranges

    names = [name for name in dict.fromkeys(span.name for span, _ in hurt.pieces) if name]
    other = hurt.beside if format_of(file) is not None else "its bytes"
    what = f"{counted(len(names), 'tensor')}{hurt.experts}" if names else ""
    what = f"{what} and {other}" if what and other else what or other
    return RULE.finding(
        f"{printable(file)} differs from the manifest in {what}: {ranges(hurt.runs)}{hurt.values}",
        place=Place(tensors=tuple(patterns(names)), files=(file,)),
        count=max(1, len(names)),
        unit="tensor" if names else "file",
        cure=f"download these bytes of {file} again (a range request takes the first and the last byte), or the whole file",
    )


def _by_digest(file: str, bad: Sequence[tuple[Digest, str]]) -> Finding:
    from weightlint.verifying.place import ranges

    digest, found = bad[0]
    weights = format_of(file) is not None and not digest.doubt
    names = [it.tensor for it, _ in bad if it.tensor and it.tensor != ALL_TENSORS]
    others = [it.origin for it, _ in bad if it.origin != digest.origin]
    more = f", nor that of {' and '.join(dict.fromkeys(others))}" if others else ""
    doubt = f"; {digest.doubt}" if digest.doubt else ""
    kind = "size" if digest.size is not None and found.endswith("bytes") else digest.algorithm
    runs = [(it.start, it.stop) for it, _ in bad if it.stop is not None]
    where = f" in {ranges(runs)}" if runs and kind != "size" else ""
    return RULE.finding(
        f"{printable(file)} does not have the {kind} from {printable(digest.origin)}{where}{printable(more)}{printable(doubt)}",
        level=Level.ERROR if weights else Level.WARNING,
        place=Place(tensors=tuple(patterns(names)), files=(file,)),
        count=max(1, len(names)),
        unit="tensor" if names else "file",
        expected=f"{digest.size:,} bytes" if kind == "size" else digest.value,
        found=found,
        cure=f"download {file} again"
        if weights
        else f"if you have not changed {file} yourself, download it again",
    )


def _by_crc(file: str, hurt: Damage) -> Finding:
    named = ", ".join(printable(record, limit=60) for record in hurt.records[:3])
    names = [span.name for span in hurt.spans]
    return RULE.finding(
        f"{printable(file)}: the CRC-32 of {counted(len(hurt.records), 'record')} ({named}) is not what the archive says",
        place=Place(tensors=tuple(patterns(names)), files=(file,)),
        count=max(1, len(names)),
        unit="tensor" if names else "file",
        cure=f"download {file} again",
    )


RULE = Rule(
    code="WL705",
    name="hash-mismatch",
    level=Level.ERROR,
    page=__doc__,
    check=check,
    needs=frozenset({Need.BYTES}),
    turn=40,
)

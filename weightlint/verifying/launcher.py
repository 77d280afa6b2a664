"""Which part of a run a process is to do: said as `3/8`, or taken from what its launcher tells every process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from weightlint.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Launcher(NamedTuple):
    """The environment variables in which a launcher tells a process its number, from 0, and how many there are."""

    rank: str
    world: str | None


LAUNCHERS = (
    Launcher("RANK", "WORLD_SIZE"),
    Launcher("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    Launcher("SLURM_PROCID", "SLURM_NTASKS"),
    Launcher("JOB_COMPLETION_INDEX", None),
)
"""torchrun, Open MPI, srun, an indexed Job of Kubernetes; torchrun comes first because srun may have started it."""

_PART = re.compile(r"([0-9]{1,6})/([0-9]{1,6})|auto(?:/([0-9]{1,6}))?")


def part_of(text: str, environment: Mapping[str, str]) -> tuple[int, int]:
    """Read `3/8`, `auto` or `auto/8`; return the number of the part, from 1, and how many there are.

    Raises:
        UsageError: it is no part, or `auto` and no launcher says which.
    """
    found = _PART.fullmatch(text)
    number, of = (0, 0) if found is None else (int(found[1] or 0), int(found[2] or found[3] or 0))
    if found is not None and found[1] is None and (of or found[3] is None):
        number, of = _told(text, of or None, environment)
    if not 0 < number <= of:
        message = f"--part {text}: not a part such as 3/8, the third of eight, or auto"
        raise UsageError(message)
    return number, of


def _told(text: str, wanted: int | None, environment: Mapping[str, str]) -> tuple[int, int]:
    for rank, world in LAUNCHERS:
        of = wanted if world is None or world not in environment else _number(world, environment)
        if rank in environment and of is not None:
            at = _number(rank, environment)
            if not at < of or wanted not in {None, of}:
                message = f"--part {text}: {rank} is {at:,} and {world or 'the count'} {of:,}; set both right, or say the part: 3/8"
                raise UsageError(message)
            return at + 1, of
    pairs = ", ".join(f"{rank} and {world}" for rank, world in LAUNCHERS if world)
    message = (
        f"--part {text}: no launcher says which part this is; looked for {pairs}, and JOB_COMPLETION_INDEX with the count "
        "as in auto/8; start it with srun, torchrun, mpirun or as an indexed Job, or say the part: 3/8"
    )
    raise UsageError(message)


def _number(name: str, environment: Mapping[str, str]) -> int:
    value = environment[name]
    if not re.fullmatch(r"[0-9]{1,6}", value):
        message = f"--part auto: {name} is {value!r}, not a number; set it right, or say the part: 3/8"
        raise UsageError(message)
    return int(value)

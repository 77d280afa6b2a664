"""Damage small models of every type at random and count what `weightlint verify` finds, with a manifest and without.

    python benchmarks/fault_injection.py [--trials 1000] [TYPE ...]

With a manifest every trial must be found and its tensors named; without one the share that the values alone give away is
printed, in percent. docs/verify.md has the table.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import injection

if TYPE_CHECKING:
    from collections.abc import Callable


def trials(type_: str, how: Callable[[bytearray, random.Random], None], count: int) -> tuple[int, int]:
    """Return how many trials were found with the right tensors by a manifest, and found at all without."""
    chance = random.Random(f"{type_} {how.__name__}")
    models = [injection.model(type_, seed) for seed in range(8)]
    manifests = [injection.manifest(made) for made in models]
    right = alone = 0
    for number in range(count):
        made, known = models[number % 8], manifests[number % 8]
        data = injection.damaged(made, how, chance)
        told = injection.verified(made.name, data, known)
        right += bool(told.findings) and injection.is_placed(told, made, data)
        alone += bool(injection.verified(made.name, data).findings)
    return right, alone


def main() -> None:
    """Print a line for each type: with a manifest, and without one by damage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("types", nargs="*")
    given = parser.parse_args()
    names = [how.__name__.replace("_", " ") for how in injection.DAMAGES]
    print(f"{given.trials:,} trials each; right: found and the right tensors named, with a manifest")
    print(f"| type | right | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    for type_ in given.types or injection.types():
        found = [trials(type_, how, given.trials) for how in injection.DAMAGES]
        right = sum(each for each, _ in found) / given.trials / len(found)
        alone = " | ".join(f"{100 * each / given.trials:.1f}" for _, each in found)
        print(f"| {type_} | {100 * right:.2f} | {alone} |", flush=True)


if __name__ == "__main__":
    main()

"""What is wrong with an adapter by itself: its names, its pairs, its ranks, its own config.

Knows nothing of the base model.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.adapters.adapter import CONFIG, PREFIX, Complaint, endings, many

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.adapters.adapter import Adapter, Row

AGAIN = "save the adapter again with save_pretrained"
PAIRS = (("A", "B"), ("embedding_A", "embedding_B"))
_IN_PAIRS = {role for pair in PAIRS for role in pair}

Modules = dict[str, dict[str, "Row"]]
"""The tensors of an adapter by module, then by role."""


def by_module(rows: Sequence[Row]) -> Modules:
    """Bring together the tensors of each module."""
    modules: Modules = defaultdict(dict)
    for row in rows:
        modules[row.part.module][row.part.role] = row
    return dict(modules)


def names(rows: Sequence[Row], strange: Sequence[str]) -> Iterator[Complaint]:
    """Report names that PEFT does not find when it loads; `strange` are those that mean nothing."""
    if strange:
        yield Complaint(
            f"{many(strange)} no name that PEFT gives a tensor",
            tuple(strange),
            cure=f"convert the adapter to PEFT's names, or {AGAIN}",
        )
    inside = [row for row in rows if row.part.adapter]
    if inside:
        yield Complaint(
            f"{many([row.name for row in inside])} the adapter's own name inside: PEFT adds it when it loads, "
            "and so finds none of these",
            tuple(row.name for row in inside),
            expected="lora_A.weight",
            found=inside[0].name,
            cure=f"remove .{inside[0].part.adapter} from the names, or {AGAIN}",
        )
    bare = [row.name for row in rows if not row.name.startswith(PREFIX)]
    if bare:
        yield Complaint(
            f"{many(bare)} no {PREFIX} in front: PEFT does not find it and serves the base model",
            tuple(bare),
            expected=PREFIX + bare[0],
            found=bare[0],
            cure=f"put {PREFIX} in front of every name, or {AGAIN}",
        )


def pairs(modules: Modules) -> Iterator[Complaint]:
    """Report modules with one half of a pair."""
    lonely: dict[str, list[str]] = defaultdict(list)
    for roles in modules.values():
        for pair in PAIRS:
            there = [role for role in pair if role in roles]
            if len(there) == 1:
                (lacking,) = set(pair) - set(there)
                lonely[lacking].append(roles[there[0]].name)
    for role, listed in lonely.items():
        yield Complaint(
            f"{many(listed)} no lora_{role} beside it: half of a pair changes nothing",
            tuple(listed),
            expected="lora_A and lora_B of each module",
            found=f"no lora_{role}",
            cure=f"take the adapter as it was before it was cut or merged, or {AGAIN}",
        )


def ranks(modules: Modules, adapter: Adapter) -> Iterator[Complaint]:
    """Report pairs whose halves disagree, then pairs of another rank than the config says."""
    allowed_for = adapter.ranks()
    torn: list[Row] = []
    other: dict[int, list[Row]] = defaultdict(list)
    for module, roles in modules.items():
        halves = [row for role, row in roles.items() if role in _IN_PAIRS and len(row.shape or ()) > 1]
        found = {_rank(row) for row in halves}
        allowed = allowed_for(module)
        if len(found) > 1:
            torn += halves
        elif found and allowed and not found <= allowed:
            other[found.pop()] += halves
    if torn:
        yield Complaint(
            f"lora_A and lora_B of {len(torn) // 2:,} {'module' if len(torn) == 2 else 'modules'} differ in rank",
            tuple(row.name for row in torn),
            expected="A [r, in] and B [out, r] with one r",
            found=" and ".join(str(list(row.shape or ())) for row in torn[:2]),
            cure="take both from one save of the adapter",
        )
    for rank, rows in other.items():
        yield Complaint(
            f"{CONFIG} says r = {adapter.rank}, {many([row.name for row in rows])} rank {rank}",
            tuple(row.name for row in rows),
            expected=f"rank {adapter.rank}",
            found=f"{list(rows[0].shape or ())}, of rank {rank}",
            cure=f"take {CONFIG} and tensors of one save: r is {rank} if the tensors are right",
        )


def _rank(row: Row) -> int:
    """Return the rank that a shape says: A is [r, in], B is [out, r], and so are those of embeddings."""
    assert row.shape is not None
    return row.shape[0] if row.part.role.endswith("A") else row.shape[1]


def targets(rows: Sequence[Row], adapter: Adapter) -> Iterator[Complaint]:
    """Compare the modules that have pairs with those that the config lists."""
    listed = adapter.targets
    halves = [row for row in rows if row.part.role in _IN_PAIRS]
    if listed is None or not halves or adapter.data.get("target_parameters"):
        return
    wanted = frozenset(listed)
    outside = [row for row in halves if wanted.isdisjoint(endings(row.part.module))]
    if outside:
        none = len(outside) == len(halves)
        yield Complaint(
            f"no tensor belongs to a target module of {CONFIG}: PEFT leaves all out and serves the base model"
            if none
            else f"{len(outside):,} tensors do not belong to a target module of {CONFIG}: PEFT leaves them out",
            tuple(row.name for row in outside),
            expected=f"target_modules {', '.join(sorted(listed)[:8])}",
            found=", ".join(sorted({row.part.module.rsplit(".", 1)[-1] for row in outside})[:8]),
            cure=f"take {CONFIG} and tensors of one save",
        )
    ends = {end for row in halves for end in endings(row.part.module)}
    idle = [target for target in listed if target not in ends]
    if idle and len(idle) < len(listed):
        yield Complaint(
            f"{CONFIG} lists {', '.join(idle[:5])} as target and no tensor is of it",
            warns=True,
            cure="nothing, if the base has no such module; else save the adapter again",
        )


def magnitudes(modules: Mapping[str, Mapping[str, Row]], adapter: Adapter) -> Iterator[Complaint]:
    """Compare the magnitudes of DoRA with what the config says of it."""
    paired = [roles for roles in modules.values() if "A" in roles]
    there = [roles["magnitude"].name for roles in paired if "magnitude" in roles]
    lacking = [roles["A"].name for roles in paired if "magnitude" not in roles]
    if adapter.dora and lacking:
        yield Complaint(
            f"{CONFIG} says use_dora, and {len(lacking):,} of {len(paired):,} modules have no lora_magnitude_vector",
            tuple(lacking),
            cure=f"{AGAIN}; without the magnitudes it is another model",
        )
    if adapter.there and not adapter.dora and there:
        yield Complaint(
            f"{len(there):,} magnitudes of DoRA are there and {CONFIG} does not say use_dora: PEFT leaves them out",
            tuple(there),
            cure=f"set use_dora to true in {CONFIG}",
        )

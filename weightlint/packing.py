"""Which quantiser left these names? Tensors that stand beside or in the place of a plain weight.

For checkpoints whose config says nothing of a quantisation: it knows names only, not what they mean. Names
of tensors: transformers 5, bitsandbytes, GPTQModel, AutoAWQ, compressed-tensors, ModelOpt, mlx_lm and quanto.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.names import Template, fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.names import Coord


@dataclass(frozen=True, slots=True)
class Packer:
    """A quantiser: the ends of names of which one is always there, and those that may be there too."""

    title: str
    method: str
    marks: tuple[str, ...]
    more: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[str, ...]:
        """Return every end."""
        return self.marks + self.more


PACKERS = (
    Packer(
        "bitsandbytes",
        "bitsandbytes",
        (".weight.absmax", ".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4"),
        (".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map"),
    ),
    Packer("bitsandbytes in 8 bits", "bitsandbytes", (".SCB",), (".weight_format",)),
    Packer("quanto", "quanto", (".weight._data", ".weight._scale"), (".weight._shift",)),
    Packer("GPTQ", "gptq", (".g_idx",), (".qweight", ".qzeros", ".scales")),
    Packer("AWQ or GPTQ", "awq", (".qweight",), (".qzeros", ".scales")),
    Packer(
        "compressed-tensors",
        "compressed-tensors",
        (".weight_packed",),
        (
            *(".weight_scale", ".weight_shape", ".weight_zero_point", ".weight_g_idx"),
            *(".weight_global_scale", ".input_global_scale", ".input_scale"),
        ),
    ),
    Packer("ModelOpt", "modelopt", (".weight_scale_2",), (".weight_scale", ".input_scale")),
    Packer("MLX", "mlx", (".scales",), (".biases",)),
)
"""The first whose mark is beside a module is taken for its quantiser."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights that a quantiser packed: its own rows, those of the weights, and weights that it replaced."""

    packer: Packer
    state: list[int]
    weights: list[int]
    replaced: dict[Slot, set[Coord]]

    @property
    def count(self) -> int:
        """Number of weights."""
        return len(self.weights) + sum(map(len, self.replaced.values()))

    def ends(self, case: Case) -> list[str]:
        """Return the ends of names by which it was recognised."""
        names = {case.index.names[row] for row in self.state}
        return [end for end in self.packer.ends if any(name.endswith(end) for name in names)]


def states(case: Case) -> dict[Packer, list[tuple[Template, Slot]]]:
    """Return the extra families that quantisers left, with the weight that each belongs to."""
    slots = case.joined.expected.by_template
    modules: dict[str, list[tuple[str, Template]]] = defaultdict(list)
    for template in case.ledger.extra:
        for end in {end for packer in PACKERS for end in packer.ends if template.endswith(end)}:
            modules[template.removesuffix(end)].append((end, template))
    found: dict[Packer, list[tuple[Template, Slot]]] = defaultdict(list)
    for module, family in modules.items():
        ends = {end for end, _ in family}
        packer = next((it for it in PACKERS if ends & set(it.marks)), None)
        weights = slots.get(Template(f"{module}.weight"), ())
        if packer is not None:
            found[packer] += [(it, slot) for end, it in family for slot in weights if end in packer.ends]
    return found


def take_packed(case: Case) -> Iterator[Packed]:
    """Take from the ledger what each quantiser packed, weights and its own tensors; yield it."""
    for packer, families in states(case).items():
        slots = dict.fromkeys(slot for _, slot in families)
        weights = {slot: _packed_rows(case, slot) for slot in slots}
        coords = {slot: {fold(case.index.names[row])[1] for row in rows} for slot, rows in weights.items()}
        replaced = {
            slot: case.ledger.take_missing(
                slot, {c for it, of in families if of is slot for c in case.ledger.extra[it]}
            )
            for slot in slots
        }
        state = [
            row
            for template, slot in families
            for row in case.ledger.take_extra(template, coords[slot] | replaced[slot]).values()
        ]
        if state:
            yield Packed(packer, state, [row for rows in weights.values() for row in rows], replaced)


def _packed_rows(case: Case, slot: Slot) -> list[int]:
    """Take the rows of a slot that hold whole numbers in the place of floats."""
    kinds = case.ledger.misfits.get(slot, {})
    return [
        row
        for kind in list(kinds)
        if kind.dtype not in FLOATS
        for row in case.ledger.take_misfits(slot, kind)
    ]

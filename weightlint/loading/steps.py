"""What a load function does with a name, one step after the other, until one of them knows.

A step gives an outcome, or the name as the next step sees it. In a contract each is a table with `do` and the
fields of the record here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from weightlint.errors import SchemaError
from weightlint.loading.naming import (
    AbsentStep,
    DraftStep,
    KvScaleStep,
    MtpStep,
    RangeStep,
    RenameStep,
    SegmentsStep,
    SkipStep,
    StageStep,
)
from weightlint.loading.outcome import Failure, Outcome, Skip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.dtype import Shape
    from weightlint.loading.view import View


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the checkpoint: its name, its shape row-major, torch's name of its dtype."""

    name: str
    shape: Shape
    dtype: str


class Step(Protocol):
    """One step."""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | Tensor | str:
        """Decide, or hand on the name, or a tensor of that name."""


class FuseStep(NamedTuple):
    """Give a projection its place in a fused parameter.

    `dot` compares whole segments' beginnings (`.q_proj`), else any text; `after` are texts of which one must stand before. Names that contain `unless` are left; with `unless_param`
    not those that are a parameter themselves. `missing` is `raise` for a KeyError, `on` to go on with the new name, `back` with the old.
    Names that end with one of `loses` have none afterwards, which fails in the next comparison.
    """

    names: tuple[str, ...] = ()
    dot: bool = False
    unless: str = ""
    unless_param: bool = False
    missing: str = "raise"
    optional: tuple[str, ...] = ()
    after: tuple[str, ...] = ("",)
    loses: tuple[str, ...] = ()

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Replace the projection's name by the parameter's, and copy."""
        sign = "." if self.dot else ""
        for fuse in view.family.fuse:
            if fuse.paired or (self.names and fuse.into not in self.names):
                continue
            for before, part in product(self.after, fuse.parts):
                old = before + sign + part
                if old not in name or self._is_left(name, view):
                    continue
                into = name.replace(old, before + sign + fuse.into)
                if fuse.into in self.optional and view.param(into) is None:
                    continue
                outcome = self._copied(into, part, tensor, view)
                if outcome is not None:
                    return outcome
                name = name if self.missing == "back" else into
        return name

    def _is_left(self, name: str, view: View) -> bool:
        if not self.unless or self.unless not in name:
            return False
        return not (self.unless_param and view.param(name) is not None)

    def _copied(self, into: str, part: str, tensor: Tensor, view: View) -> Outcome | None:
        if into.endswith(".bias") and view.param(into) is None:
            return None
        if view.is_elsewhere(into):
            return Skip("stage")
        param = view.param(into)
        if param is None and into.endswith(self.loses):
            return Failure("TypeError", "argument of type 'NoneType' is not iterable")
        if param is None:
            return None if self.missing in ("on", "back") else view.key_error(into)
        if part not in param.parts:
            return Failure("KeyError", repr(part))
        return view.copied(param, tensor, part)


class ExpertStep(NamedTuple):
    """Give a routed expert's projection its place in the stack; a number beyond the config's matches nothing.

    `missing` is what comes where there is no such parameter: `raise` a KeyError, go `on` with the new name, or `skip`.
    """

    bias_back: bool = False
    missing: str = "raise"

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Find the expert's number and projection in the name."""
        found = view.expert.search(name)
        if found is None or int(found[1]) >= view.experts:
            return name
        experts = view.family.experts
        into = "w2" if found[2] == experts.down else "w13"
        mapped = name.replace(found[0], f"experts.{experts.path}{into}_")
        if view.is_elsewhere(mapped):
            return Skip("stage")
        param = view.param(mapped)
        if param is None:
            if self.bias_back and mapped.endswith(("_bias", ".bias")):
                return mapped
            if self.missing == "raise":
                return view.key_error(mapped)
            return mapped if self.missing == "on" else Skip("unknown")
        return view.copied_expert(param, tensor, found[2], int(found[1]))


class TakeStep(NamedTuple):
    """Look the name up: the last step. `missing` is `raise`, `warn` or `silent`."""

    missing: str = "raise"
    warns: str = ""

    def __call__(self, name: str, tensor: Tensor, view: View) -> Outcome | str:
        """Copy into the parameter of this name."""
        param = view.param(name)
        if param is not None:
            return view.copied(param, tensor)
        alias = view.alias(name)
        if alias is not None:
            return alias.take(tensor) if alias.writes else Skip("tied", self._warning(name, view))
        if self.missing == "raise":
            return view.key_error(name)
        return Skip("unknown", self._warning(name, view))

    def _warning(self, name: str, view: View) -> str:
        return self.warns.replace("{name}", view.prefix + name)


STEPS: dict[str, Any] = {
    "skip": SkipStep,
    "mtp": MtpStep,
    "stage": StageStep,
    "range": RangeStep,
    "rename": RenameStep,
    "segments": SegmentsStep,
    "kv_scale": KvScaleStep,
    "absent": AbsentStep,
    "draft": DraftStep,
    "fuse": FuseStep,
    "experts": ExpertStep,
    "take": TakeStep,
}


def _kind(do: str) -> Any:
    if do == "tree":
        from weightlint.loading.tree import TreeStep

        return TreeStep
    if do in ("lift", "permuted", "interleaved", "pair"):
        from weightlint.loading import shaping

        return shaping.STEPS[do]
    if do in ("halves", "share", "stacked"):
        from weightlint.loading import joining

        return joining.STEPS[do]
    return STEPS.get(do)


def made(row: Mapping[str, Any]) -> Step:
    """Build a step from its table.

    Raises:
        SchemaError: there is no such step, or it has no such field.
    """
    kind = _kind(row.get("do", ""))
    if kind is None:
        message = f"a contract says do = {row.get('do')!r}; known are {', '.join(STEPS)}"
        raise SchemaError(message)
    known = {*kind._fields}
    if unknown := sorted(row.keys() - known - {"do", "when"}):
        message = f"a contract's step {row['do']} has no {unknown[0]}"
        raise SchemaError(message)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    values = {key: value for key, value in values.items() if key not in ("do", "when")}
    step: Step = kind(**values)
    return step


EXPERT_NAME = r"experts\.(\d{1,9})\.(%s)\."
"""A routed expert's number and projection."""


def expert_name(projections: tuple[str, ...]) -> re.Pattern[str]:
    """Compile the pattern that finds an expert's number and projection in a name."""
    return re.compile(EXPERT_NAME % "|".join(map(re.escape, projections)))

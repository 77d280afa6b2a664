"""What a loader will do with a checkpoint on every rank of a plan.

Ranks that fare alike are worked out once: without odd tensors there are as many sorts of ranks as pipeline stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint import schema as schemas
from weightlint.expected import Expected
from weightlint.loading.classes import alike
from weightlint.loading.contract import load as read_contract
from weightlint.loading.groups import grouped
from weightlint.loading.model import TORCH, Model
from weightlint.loading.reading import as_taken, read
from weightlint.loading.site import placed, site_of
from weightlint.loading.survey import Surveyor
from weightlint.plan import Plan, rank_patterns
from weightlint.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.config import Config
    from weightlint.loader import Release
    from weightlint.loading.building import Built
    from weightlint.loading.contract import Contract
    from weightlint.loading.family import Family
    from weightlint.loading.fault import Fault
    from weightlint.loading.groups import Group
    from weightlint.loading.outcome import Failure
    from weightlint.loading.site import Site
    from weightlint.loading.survey import Survey
    from weightlint.plan import Rank

DTYPE_FIELDS = ("dtype", "torch_dtype")
"""Where a config says in which dtype the model is: transformers 5 and before."""


def contract_of(release: Release) -> Contract | None:
    """Read the contract of a loader, or the one that stands in for it; None where there is none."""
    if release.contract is not None:
        return read_contract(release.contract)
    path = schemas.folder() / "contracts" / f"{release.loader.name}.toml"
    return read_contract(path) if path.is_file() else None


@dataclass(frozen=True)
class Sort:
    """Ranks that fare alike, and what becomes of the checkpoint on them."""

    ranks: tuple[Rank, ...]
    site: Site
    survey: Survey


@dataclass
class Prediction:
    """A checkpoint, a release of a loader with its contract for this family of models, and a plan."""

    case: Case
    release: Release
    contract: Contract
    family: Family
    model: Model
    plan: Plan

    @cached_property
    def groups(self) -> list[Group]:
        """The checkpoint's tensors."""
        return grouped(self.case.index, self.case.joined if self.case.spelling else None)

    @cached_property
    def spread(self) -> Spread:
        """The plan laid over the model."""
        return Spread(self.plan, self.model.expected, self.release)

    def site(self, rank: Rank) -> Site:
        """Return where a rank stands."""
        return placed(site_of(self.spread, rank, pipelined=self.family.pipelined), self.model, self.family)

    @cached_property
    def sorts(self) -> tuple[Sort, ...]:
        """All ranks, by how they fare."""
        surveyor = Surveyor(self.model, self.family, self.groups)
        return tuple(
            Sort(tuple(ranks), site, surveyor.survey(site)) for site, ranks in alike(self, exact=False)
        )

    def notices(self, built: Built, never: Sequence[str]) -> bool:
        """Tell whether the framework's own check after loading misses any of these parameters."""
        check = self.family.completeness
        if self.model.block is not None and not check.quantised:
            return False
        return any("*" in check.kinds or built.params[name].kind in check.kinds for name in never)

    @cached_property
    def unbuilt(self) -> dict[Failure, tuple[str, ...]]:
        """What constructors raise, with the ranks on which they do."""
        found: dict[Failure, list[Rank]] = {}
        for sort in self.sorts:
            if sort.survey.built.error is not None:
                found.setdefault(sort.survey.built.error, []).extend(sort.ranks)
        return {failure: rank_patterns(ranks) for failure, ranks in found.items()}

    def is_met(self, fault: Fault) -> bool:
        """Tell whether a known fault is one of this release, model and plan."""
        plan, model = self.plan, self.model
        return (
            self.release.within(fault.versions)
            and (self.case.arch or "") in fault.archs
            and (not fault.quantised or model.block is not None)
            and (not fault.tied or self.spread.is_tied)
            and plan.pp >= fault.pp
            and plan.tp >= fault.tp
            and plan.ep >= fault.ep
        )

    def classes(self) -> Iterator[tuple[Site, list[Rank]]]:
        """Yield ranks that have the same parameters and the same slices of them, each class with one site."""
        return alike(self, exact=True)


def predict(case: Case) -> Prediction | str:
    """Get a prediction ready, or say why there can be none."""
    release = case.loader
    if release is None:
        return "no --loader given"
    if case.plain is None or case.config is None:
        return case.unexpanded
    contract = case.contract
    if contract is None or not contract.families or case.checkpoint.format == "gguf":
        return f"what {release.loader.says} does with each tensor is not recorded"
    other = _unfollowed(case, release)
    if other is not None:
        return f"what {release.loader.says} does with tensors of {other} is not followed"
    plan = case.plan or Plan()
    architecture = next(iter(case.config.architectures), "")
    family = contract.family(case.arch or "", release.version, architecture, expert_parallel=plan.ep > 1)
    if family is None:
        return f"what {release.says} does with each tensor of {case.arch} is not recorded"
    if case.checkpoint.names_only:
        return "only an index file was given: no headers, so no dtypes and shapes"
    return Prediction(case, release, contract, family, model_of(case, family), plan)


def _unfollowed(case: Case, release: Release) -> str | None:
    """Name the form of declared weights that no engine here follows, None if all are plain or followed."""
    table = case.config.quantization if case.config is not None else None
    forms = case.quant.read(table).forms if case.quant is not None and table is not None else ()
    return next((form.name for form in forms if form.name not in release.loader.quants), None)


def model_of(case: Case, family: Family) -> Model:
    """Tell what a framework makes of a case's config."""
    from weightlint.expansion import expand

    if case.schema is None or case.config is None:
        return Model(Expected(()))
    taken = as_taken(case.config, family)
    bare = case.bare if taken is case.config else None
    return read(bare or expand(case.schema, taken), case.config, family, dtype=_dtype(case, case.config))


def _dtype(case: Case, config: Config) -> str:
    """Return torch's name of the dtype that plain weights are loaded as."""
    if case.running.dtype:
        return TORCH.get(case.running.dtype, "bfloat16")
    said = next((value for name in DTYPE_FIELDS if (value := config.find(name, None)[1])), None)
    return str(said).removeprefix("torch.") if said else "bfloat16"

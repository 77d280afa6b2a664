"""The parameters that a framework makes beside those of the schema: scales of its cache or of its kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.loading.copying import Cutting, Whole
from weightlint.loading.model import module_of
from weightlint.loading.param import Param, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weightlint.loading.family import Family
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site


def own_params(model: Model, family: Family, site: Site, params: Iterable[str]) -> Iterator[Param]:
    """Yield what the framework adds of its own to modules that have parameters."""
    modules = dict.fromkeys(module_of(name)[0] for name in params)
    heads = dict.fromkeys((*(module.rpartition(".")[0] for module in modules), *modules))
    for own in family.own:
        if own.when and (own.when == "quantised") != (model.block is not None):
            continue
        shape = tuple(site.local_experts if it == "experts" else int(it) for it in own.shape)
        for head in (head for head in heads if head.endswith(own.module)):
            for leaf in own.names:
                yield Param(
                    name=f"{head}.{leaf}",
                    shape=shape,
                    dtype=own.dtype,
                    copy=Whole(family.texts.plain),
                    parts={"": Part((0,) * len(shape), shape, Cutting())},
                    default=own.default,
                    sound=own.sound,
                )

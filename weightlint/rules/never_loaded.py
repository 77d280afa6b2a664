"""A parameter of the running model that no tensor of the checkpoint fills.

Checks: every element of every runtime parameter of each rank, after all that the loader's load function does.
Matters: such a parameter keeps random numbers; most frameworks do not notice and serve wrong results.
Example: SGLang gives Qwen3-MoE a head of its own even if the config ties it: no tensor fills lm_head.weight.
Cure: as the finding says; `weightlint map` lists what is never or only partly written.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.finding import Level, Place, counted
from weightlint.names import patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.loading.prediction import Prediction, Sort


def check(case: Case) -> Iterator[Finding]:
    """Report all parameters that stay unwritten together."""
    from weightlint.loading.aftermath import Rest

    prediction = case.prediction
    if isinstance(prediction, str):
        return
    rest = Rest(prediction, case.told)
    if rest.is_moot or any(it.code in {"WL601", "WL602"} for it in case.told):
        return
    gone: dict[str, list[Sort]] = defaultdict(list)
    for sort, lacks in rest.lacking():
        for name in lacks:
            gone[name].append(sort)
    if gone:
        yield _finding(prediction, dict(gone))


def _finding(prediction: Prediction, gone: dict[str, list[Sort]]) -> Finding:
    from weightlint.loading.fate import Fates, ranks_of

    ranks = ranks_of(sort for sorts in gone.values() for sort in sorts)
    names = patterns(gone)
    return RULE.finding(
        f"no tensor fills {' '.join(names[:3])} as {prediction.release.says} makes it; "
        f"{Fates(prediction).lack_text(gone, ranks)}",
        place=Place(ranks=ranks),
        count=len(gone),
        unit="parameter",
        expected=f"tensors for {counted(len(gone), 'parameter')} of the running model",
        found="none, or not enough",
        cure=f"use another release of {prediction.release.loader.says} or another framework, or add the tensors; "
        "`weightlint map` lists what stays unwritten",
    )


RULE = Rule(
    code="WL603",
    name="never-loaded",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.EXPECTED, Need.LOADER, Need.PREDICTION}),
    turn=92,
)

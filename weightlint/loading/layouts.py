"""Does a loader take a layout of the experts? It does if any of the layout's tensors fills something on any rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.loading.outcome import Fill
from weightlint.loading.steps import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.expected import Slot
    from weightlint.loading.prediction import Prediction


def takes(prediction: Prediction, slots: Iterable[Slot]) -> bool:
    """Tell whether the first tensor of any of these slots fills a parameter, or part of one."""
    tensors = [Tensor(next(iter(slot.names())), slot.shape, "") for slot in slots]
    built = [sort.survey for sort in prediction.sorts if sort.survey.built.error is None]
    return not built or any(isinstance(it.loader.follow(each), Fill) for it in built for each in tensors)

"""The words with which transformers' plans say how a module is cut, and what they do to its weight.

Source: transformers 4.57.6, 5.0.0 and 5.23.0, integrations/tensor_parallel.py and distributed/: keys of
`base_model_tp_plan` and `base_model_ep_plan` in the configuration classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.errors import UsageError, nearest
from weightlint.plan import Assigned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COLUMN, ROW = -2, -1

CUTS: Mapping[str, tuple[int | None, int]] = {
    "colwise": (COLUMN, 1),
    "colwise_rep": (COLUMN, 1),
    "colwise_gather_output": (COLUMN, 1),
    "local_colwise": (COLUMN, 1),
    "rowwise": (ROW, 1),
    "rowwise_rep": (ROW, 1),
    "rowwise_split_input": (ROW, 1),
    "local_rowwise": (ROW, 1),
    "packed_colwise": (COLUMN, 2),
    "packed_rowwise": (ROW, 2),
    "local_packed_rowwise": (ROW, 2),
    "grouped_gemm": (0, 1),
    "embedding_rowwise": (0, 1),
    "embedding_colwise": (1, 1),
    "vocab_parallel_rowwise": (0, 1),
} | dict.fromkeys(
    (
        "local", "gather", "replicate", "sequence_parallel", "replicated_with_grad_allreduce", "ep_router",
        "ep_dispatch_experts", "moe_tp_experts", "all_reduce", "moe_identity_expert", "local_params",
        "mla_kv_a_proj",
    ),
    (None, 1),
)  # fmt: skip
"""Dimension that is cut, from the back but for experts, and parts that are cut each for itself."""

OF_EXPERTS = frozenset({"grouped_gemm"})


def assigned(table: Mapping[str, str], *, prefix: str = "") -> Iterator[Assigned]:
    """Read a dictionary of modules and words; `prefix` stands before every module of a base model.

    Raises:
        UsageError: an unknown word.
    """
    for module, word in table.items():
        if word not in CUTS:
            message = f"plan: {module}: no cut {word!r}{nearest(word, CUTS)}"
            raise UsageError(message)
        dim, parts = CUTS[word]
        yield Assigned(
            pattern=prefix + module,
            word=word,
            dim=dim,
            parts=parts,
            experts=word in OF_EXPERTS,
            whole=True,
        )

"""How frameworks deal the layers of a model out to pipeline stages when nobody tells them.

Each algorithm gives, rank by rank, the layers of that rank, first included and last excluded. Knows
nothing of tensors, nor of which framework takes which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise

Split = Callable[[int, int], tuple[range, ...]]


def ranges(sizes: list[int]) -> tuple[range, ...]:
    """Lay stages of these numbers of layers one after the other."""
    edges = accumulate(sizes, initial=0)
    return tuple(range(start, stop) for start, stop in pairwise(edges))


def middle_first(layers: int, stages: int) -> tuple[range, ...]:
    """Give the layers left over to the stages before the last, from the back.

    Source: vLLM, distributed/utils.py get_pp_indices.
    """
    base, rest = divmod(layers, stages)
    return ranges([base + (stages - 1 - rest <= stage < stages - 1) for stage in range(stages)])


def last_one_more(layers: int, stages: int) -> tuple[range, ...]:
    """Give one of the layers left over to each of the last stages.

    Source: SGLang 0.5.6 to 0.5.23, srt/distributed/utils.py get_pp_indices; LitGPT, generate/sequentially.py.
    """
    base, rest = divmod(layers, stages)
    return ranges([base + (stage >= stages - rest) for stage in range(stages)])


def first_one_more(layers: int, stages: int) -> tuple[range, ...]:
    """Give one of the layers left over to each of the first stages.

    Source: TensorRT-LLM, mapping.py pp_layers (torch.tensor_split).
    """
    base, rest = divmod(layers, stages)
    return ranges([base + (stage < rest) for stage in range(stages)])


def last_takes_rest(layers: int, stages: int) -> tuple[range, ...]:
    """Give all layers left over to the last stage.

    Source: SGLang up to 0.5.5, srt/distributed/utils.py; transformers 5.23, distributed/.
    """
    base, rest = divmod(layers, stages)
    return ranges([base] * (stages - 1) + [base + rest])


def rounded_up(layers: int, stages: int) -> tuple[range, ...]:
    """Fill the stages from the first with as many layers as the largest needs; the last may stay empty.

    Source: mistral-inference, transformer.py.
    """
    size = -(-layers // stages)
    edges = [min(layers, stage * size) for stage in range(stages + 1)]
    return tuple(range(start, stop) for start, stop in pairwise(edges))


def with_output(layers: int, stages: int) -> tuple[range, ...]:
    """Deal out the layers and the output after them as one unit more, to devices of equal share.

    Source: llama.cpp, llama-model.cpp load_tensors: the device of layer i of n is that in whose share
    i / (n + 1) falls, with all layers offloaded and equal --tensor-split.
    """
    owners = [layer * stages // (layers + 1) for layer in range(layers)]
    return ranges([owners.count(stage) for stage in range(stages)])


def equal(layers: int, stages: int) -> tuple[range, ...]:
    """Deal out equal stages, none at all if the layers do not come out even.

    Source: Megatron-LM, megatron/core/transformer/transformer_block.py get_num_layers_to_build.
    """
    return () if layers % stages else ranges([layers // stages] * stages)


def backwards(layers: int, stages: int) -> tuple[range, ...]:
    """Give the last layers to the first rank, and one of those left over to each of the first ranks.

    Source: mlx-lm 0.32, models/pipeline.py.
    """
    base, rest = divmod(layers, stages)
    return ranges([base + (rank < rest) for rank in reversed(range(stages))])[::-1]


def backwards_with_gaps(layers: int, stages: int) -> tuple[range, ...]:
    """Do as `backwards`, but begin each stage as if all had its own size: layers fall between stages.

    Source: mlx-lm 0.31.3, models/pipeline.py; reported as mlx-lm #1688.
    """
    base, rest = divmod(layers, stages)
    sizes = [base + (rank < rest) for rank in range(stages)]
    starts = [(stages - rank - 1) * size for rank, size in enumerate(sizes)]
    return tuple(range(a, min(layers, a + size)) for a, size in zip(starts, sizes, strict=True))


SPLITS: Mapping[str, Split] = {
    split.__name__: split
    for split in (
        middle_first,
        last_one_more,
        first_one_more,
        last_takes_rest,
        rounded_up,
        with_output,
        equal,
        backwards,
        backwards_with_gaps,
    )
}
"""The algorithms by the name that a loader gives."""


def lost(layers: int, stages: tuple[range, ...]) -> tuple[int, ...]:
    """Return the layers that are in no stage."""
    held = {layer for stage in stages for layer in stage}
    return tuple(layer for layer in range(layers) if layer not in held)

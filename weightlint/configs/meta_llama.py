"""Meta's LLaMA: `params.json` with dim, n_layers and multiple_of; the width of the MLP follows from these.

Source: meta-llama/llama3, llama/model.py: FeedForward takes two thirds of 4 * dim, times
ffn_dim_multiplier where given, up to a whole multiple_of. A vocab_size of -1 says that the tokenizer
knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.config import MAX_INT
from weightlint.config_spelling import ConfigSpelling

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = -1
MAX_FACTOR = 1_000
"""No model has such a multiplier; infinity and NaN are none either."""


def derive(data: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the width of the MLP."""
    said: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": False}
    if data.get("vocab_size") == UNKNOWN:
        said["vocab_size"] = None
    dim, multiple = data.get("dim"), data.get("multiple_of")
    if isinstance(dim, int) and isinstance(multiple, int) and 0 < multiple <= MAX_INT >= dim:
        said["intermediate_size"] = _width(dim, multiple, data.get("ffn_dim_multiplier"))
    return said


def _width(dim: int, multiple: int, factor: object) -> int:
    width = 8 * dim // 3
    if isinstance(factor, (int, float)) and 0 < factor < MAX_FACTOR:
        width = int(factor * width)
    return -(-width // multiple) * multiple


CONFIG = ConfigSpelling(
    name="meta_llama",
    title="Meta's params.json",
    files=("params.json",),
    marks=frozenset({"dim", "n_layers", "n_heads", "multiple_of"}),
    fields={
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
        "norm_eps": "rms_norm_eps",
    },
    derive=derive,
)

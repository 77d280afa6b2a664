"""One rank of vLLM for a small model, as its contract tells: what the tests of `weightlint.loading` start from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from weightlint import schema as schemas
from weightlint.config import read as read_config
from weightlint.expansion import expand
from weightlint.loader import release
from weightlint.loading.contract import load as read_contract
from weightlint.loading.load import Loader
from weightlint.loading.reading import read
from weightlint.loading.site import site_of
from weightlint.loading.steps import Tensor
from weightlint.plan import Plan, Rank
from weightlint.spread import Spread

if TYPE_CHECKING:
    from weightlint.loading.outcome import Outcome

OLD, NEW = "0.8.4", "0.33.0"

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 100,
}
QWEN: dict[str, Any] = LLAMA | {
    "architectures": ["Qwen3MoeForCausalLM"],
    "num_experts": 4,
    "moe_intermediate_size": 32,
    "mlp_only_layers": [],
}
DEEPSEEK: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 2,
    "first_k_dense_replace": 1,
    "num_nextn_predict_layers": 1,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_attention_heads": 4,
    "q_lora_rank": 48,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 16,
    "v_head_dim": 16,
    "vocab_size": 100,
    "topk_method": "noaux_tc",
}


def fp8(config: dict[str, Any], block: int = 32, **more: object) -> dict[str, Any]:
    """Declare FP8 with square blocks."""
    return config | {
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [block, block], **more},
    }


class VllmRank:
    """The load function of one rank."""

    def __init__(
        self,
        config: dict[str, Any],
        version: str,
        *,
        rank: tuple[int, int] = (0, 0),
        tp: int = 1,
        pp: int = 1,
        ep: int = 1,
    ) -> None:
        parsed = read_config(json.dumps(config).encode())
        name = schemas.detect(parsed) or "deepseek_v3"
        expected = expand(schemas.load(name), parsed)
        contract = read_contract(schemas.folder() / "contracts" / "vllm.toml")
        family = contract.family(name, version, config["architectures"][0])
        assert family is not None
        self.model = read(expected, parsed, family)
        spread = Spread(Plan(tp=tp, pp=pp, ep=ep), self.model.expected, release(f"vllm@{version}"))
        self.loader = Loader(self.model, family, site_of(spread, Rank(*rank)))

    @property
    def error(self) -> str:
        """What the constructor raises, nothing if it does not."""
        return str(self.loader.built.error or "")

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a parameter."""
        param = self.loader.built.params.get(name)
        return param.shape if param else None

    def feed(self, name: str, *shape: int, dtype: str = "bfloat16") -> Outcome:
        """Say what becomes of a tensor."""
        return self.loader.feed(Tensor(name, shape, dtype))

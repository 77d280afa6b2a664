"""DeepSeek's own inference code: `model{rank}-mp{world}.safetensors`, one file per tensor rank.

Routed experts lie whole on one rank under their global numbers; all else is cut along one dimension
or held by every rank. Source: deepseek-ai/DeepSeek-V3, inference/convert.py and model.py at 9b4e978:
a rank loads `model{rank}-mp{world_size}.safetensors` and refuses any missing or unexpected tensor.
"""

from __future__ import annotations

import re

from weightlint.sharding import Sharding

SHARDING = Sharding(
    name="deepseek_native",
    title="DeepSeek's inference code",
    pattern=re.compile(r"model(?P<tp>\d{1,6})-mp(?P<of>\d{1,6})\.safetensors"),
    dialects=frozenset({"deepseek_native"}),
    placed=".experts.",
    cure="convert the Hugging Face checkpoint again with convert.py and the same --model-parallel",
)

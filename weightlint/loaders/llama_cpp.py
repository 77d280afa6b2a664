"""llama.cpp: GGUF files, whole layers dealt out to devices. Versions are those of llama-cpp-python.

Which layer goes where: llama.cpp, src/llama-model.cpp load_tensors, as in llama-cpp-python 0.3.16 and 0.3.36, with
all layers offloaded and devices of equal share. The embedding stays on the CPU, the output goes with the last unit.
"""

from __future__ import annotations

from weightlint.dtype_limits import Limit
from weightlint.loader import Loader
from weightlint.plan_rules import PlanRules

LIMITS = (
    Limit(
        dtypes=frozenset({"NVFP4", "Q1_0", "Q2_0"}),
        span="<=0.3.16",
        formats=frozenset({"gguf"}),
        why="their numbers, 40 to 42, were given later",
        says="invalid ggml type",
        cure="take a later release, or a file in a type of that time; in files of bitnet.cpp these numbers mean its own "
        "types, and only bitnet.cpp reads them",
    ),
)
"""ggml/include/ggml.h of llama-cpp-python 0.3.16 (GGML_TYPE_COUNT = 40) and 0.3.36 (43); llama.cpp #11975."""

BUILDS = ((9445, "0.3.24"), (9665, "0.3.30"), (11312, "0.3.36"))
"""Builds of llama.cpp whose commit a release vendors, by its changelog: af6528e6d, e3a74b299, 0c1e57098, as llama-server names
them. The number of that of 0.3.16, 4227c9be4 of 14 August 2025, is not on record."""

LOADER = Loader(
    name="llama_cpp",
    says="llama.cpp (llama-cpp-python)",
    since="0.3.16",
    newest="0.3.36",
    builds=BUILDS,
    recorded=("0.3.16", "0.3.36"),
    plan_rules=(
        (
            "",
            PlanRules(
                kinds=frozenset({"pp"}),
                split="with_output",
                places={"embedding": "none", "norm": "last", "head": "last"},
                mtp="layer",
                vocab=0,
                empty=True,
            ),
        ),
    ),
    dialects=frozenset({"gguf"}),
    formats=frozenset({"gguf"}),
    brings="convert_hf_to_gguf.py makes a GGUF file of Hugging Face files",
    limits=LIMITS,
)

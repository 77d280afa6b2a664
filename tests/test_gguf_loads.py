"""What llama.cpp's own loader did with damaged files: what it refuses has a finding, what it takes has none.

The files are made again by the tool that lies beside the project, with zeros as data; the outcomes are
those of libllama 0.3.36, in `loads_0336.json`. Kinds of damage: the file and its parts.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from weightlint.api import check

SHARED = Path(__file__).parents[1].parent / "shared"
TOOL, LOADS = SHARED / "tools" / "llama_load_run.py", SHARED / "data" / "llama" / "loads_0336.json"
pytestmark = pytest.mark.skipif(not LOADS.is_file(), reason="the outcomes of llama.cpp are not here")

FILE_CODES = {"WL101", "WL102", "WL103", "WL106", "WL107"}
NEED_A_SCHEMA = {
    # llama.cpp misses a tensor by its name, which the format does not know
    *(
        f"output.weight -> {how}"
        for how in ("63 characters", "invalid UTF-8 escaped", "trailing blank", "upper case")
    ),
    "a tensor missing from part 3, declared count lowered",
}
SOUND_FILES = {
    # weightlint reads all parts whichever is named; the files have no defect
    "opened with part 2",
}


@pytest.fixture(scope="module")
def tool() -> Any:
    """Import the tool, with zeros in place of what libllama quantises."""
    pytest.importorskip("numpy")
    spec = importlib.util.spec_from_file_location("llama_load_run", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["quantise"] = lambda values, type_, **_: bytes(module.nbytes([values.size], type_))
    module.Tensor.values = lambda self: module.np.zeros(int(module.np.prod(self.ne)), dtype="f4")
    return module


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = json.loads(LOADS.read_text())
    return {(f"{row['arch']}/{row['layout']}", row["mutation"], row["detail"]): row for row in rows}


def judged(row: dict[str, Any], target: Path) -> str | None:
    """Return what is wrong with our verdict, or None."""
    said = [finding for finding in check(str(target)).findings if finding.code in FILE_CODES]
    detail = row["detail"]
    if row["outcome"] != "accepted":
        if len(said) == 1 or (not said and detail in NEED_A_SCHEMA | SOUND_FILES):
            return None
        return f"{row['mutation']}, {detail}: {row['message'][:100]}: {[finding.message for finding in said]}"
    if row["run"] == "same" and said:
        return f"{row['mutation']}, {detail}: a false alarm: {[finding.message for finding in said]}"
    return None


def judge(tool: Any, rows: Any, key: str, folder: Path, *, split: bool) -> tuple[list[str], int]:
    model, wrong, count = tool.MODELS[key], [], 0
    damages = tool.split_mutations(model, folder) if split else tool.file_mutations(model)
    for mutation, detail, write, _ in damages:
        row = rows.get((key, mutation, detail))
        shutil.rmtree(folder / "case", ignore_errors=True)
        (folder / "case").mkdir()
        if split:
            target = Path(write(folder / "case"))
        else:
            target = folder / "case" / "toy.gguf"
            write(str(target))
        if row is not None:
            count += 1
            wrong.append(judged(row, target))
    return [it for it in wrong if it], count


@pytest.mark.parametrize("key", ["llama/dense", "deepseek2/mla_v3"])
def test_damaged_files(tool: Any, outcomes: Any, key: str, tmp_path: Path) -> None:
    wrong, count = judge(tool, outcomes, key, tmp_path, split=False)
    assert wrong == []
    assert count >= 70


@pytest.mark.parametrize("key", ["llama/dense", "deepseek2/mla_v3"])
def test_damaged_splits(tool: Any, outcomes: Any, key: str, tmp_path: Path) -> None:
    wrong, count = judge(tool, outcomes, key, tmp_path, split=True)
    assert wrong == []
    assert count == 44


@pytest.mark.parametrize(
    "key", ["llama/dense", "llama/tied", "llama/mixtral", "qwen3/dense", "qwen3moe/plain", "deepseek2/mla_v3"]
)
def test_alignments_and_doubled_keys(tool: Any, outcomes: Any, key: str, tmp_path: Path) -> None:
    wrong = []
    for mutation, detail, model, _ in tool.kv_mutations(tool.MODELS[key]):
        row = outcomes.get((key, mutation, detail))
        if row is not None and ("alignment" in detail or mutation == "key_duplicate"):
            model.write(str(tmp_path / "toy.gguf"))
            wrong.append(judged(row, tmp_path / "toy.gguf"))
    assert len(wrong) >= 7
    assert [it for it in wrong if it] == []


def test_clean_models_are_silent(tool: Any, tmp_path: Path) -> None:
    for key, model in tool.MODELS.items():
        model.write(str(tmp_path / "toy.gguf"))
        said = [
            finding for finding in check(str(tmp_path / "toy.gguf")).findings if finding.code in FILE_CODES
        ]
        assert not said, key

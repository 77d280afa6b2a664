"""Folders of torch files from end to end: indexes, sums of bytes, training checkpoints, what goes first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch_toy
from torch_toy import archive, nbytes, number, pickled, table, tensor
from toy import config, toy

from weightlint.api import check

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "pytorch_model.bin.index.json"


def codes(folder: Path) -> list[str]:
    return [finding.code for finding in check(str(folder)).findings]


def tied(folder: Path, total: object) -> Path:
    """Write a file in which two names share a storage and a mask of 16 bools lies beside them, and its index."""
    items = {
        "embed": tensor("F32", (4, 2), "0"),
        "head": tensor("F32", (4, 2), "0"),
        "mask": tensor("BOOL", (16,), "1"),
    }
    (folder / "pytorch_model.bin").write_bytes(archive(pickled(table(items)), [bytes(32), bytes(16)]))
    places = dict.fromkeys(items, "pytorch_model.bin")
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}))
    return folder


@pytest.mark.parametrize("total", [80, 48, 34.0, 66.0])
def test_shared_bytes_and_bools_are_summed_in_each_way_that_transformers_had(
    tmp_path: Path, total: float
) -> None:
    assert codes(tied(tmp_path, total)) == []


@pytest.mark.parametrize("total", [79, 32])
def test_another_sum_is_told(tmp_path: Path, total: int) -> None:
    assert codes(tied(tmp_path, total)) == ["WL104"]


def written(folder: Path, *, name: str, wrap: str | None = None) -> Path:
    """Write a toy llama as one torch file, its table under a key if one is given."""
    made = toy("llama", config("toy_llama"), shards=1)
    rows = [(each.name, each.dtype, each.shape) for each in made.tensors]
    items = {row[0]: tensor(*row[1:], str(key)) for key, row in enumerate(rows)}
    top = (
        {wrap: table(items), "optimizer": table({"state": items[rows[0][0]]}), "epoch": number(3)}
        if wrap
        else items
    )
    (folder / name).write_bytes(archive(pickled(table(top)), [bytes(nbytes(*row[1:])) for row in rows]))
    (folder / "config.json").write_text(json.dumps(made.config))
    return folder


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "model.pt"])
def test_a_single_file_of_any_suffix_is_silent(tmp_path: Path, name: str) -> None:
    assert codes(written(tmp_path, name=name)) == []


def test_a_table_inside_another_is_one_finding_and_no_optimizer(tmp_path: Path) -> None:
    report = check(str(written(tmp_path, name="model.pth", wrap="model_state_dict")))
    (finding,) = report.findings
    assert finding.code == "WL203"
    assert "model_state_dict" in finding.message
    assert report.facts.tensors == len(toy("llama", config("toy_llama")).tensors)


def test_safetensors_go_before_torch_files_whatever_these_hold(tmp_path: Path) -> None:
    toy("llama", config("toy_llama"), shards=1).write(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(archive(pickled(torch_toy.OTHER_GLOBAL)))
    assert codes(tmp_path) == []


def test_a_foreign_global_is_the_only_finding(tmp_path: Path) -> None:
    made = toy("llama", config("toy_llama"), shards=1)
    rows = [(each.name, each.dtype, each.shape) for each in made.tensors]
    (tmp_path / "pytorch_model.bin").write_bytes(
        torch_toy.file(rows, more={"x": torch_toy.call("os", "system", torch_toy.text("true"))})
    )
    (tmp_path / "config.json").write_text(json.dumps(made.config))
    (finding,) = check(str(tmp_path)).findings
    assert finding.code == "WL109"
    assert "os.system" in finding.message


def test_a_file_that_is_all_foreign_code_is_the_only_finding(tmp_path: Path) -> None:
    made = toy("llama", config("toy_llama"), shards=1)
    (tmp_path / "pytorch_model.bin").write_bytes(archive(pickled(torch_toy.OTHER_GLOBAL)))
    (tmp_path / "config.json").write_text(json.dumps(made.config))
    assert codes(tmp_path) == ["WL109"]

"""Every format at an address: the same report as of the folder, and how many requests a file takes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import dcp_toy
import gguf_toy
import pytest
import torch_toy
import toy
from hub import Hub
from web import Web, told

from weightlint import api
from weightlint.remote import patience
from weightlint.remote.store import HEAD

pytest.importorskip("huggingface_hub", reason="the client of hf://")
pytest.importorskip("aiohttp", reason="the client of weightlint[remote]")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


ROWS = [(f"model.layers.{at}.mlp.up_proj.weight", "F32", (64, 512)) for at in range(30)]


def large_vocabulary() -> gguf_toy.GgufFile:
    made = gguf_toy.llama()
    tokens = [f"token {at}" for at in range(130_000)]
    merges = [f"to ken{at}" for at in range(130_000)]
    keys = [
        *made.keys,
        ("tokenizer.ggml.tokens", "arr", ("str", tokens)),
        ("tokenizer.ggml.merges", "arr", ("str", merges)),
    ]
    return gguf_toy.GgufFile(keys, made.tensors)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def padded(path: Path) -> None:
    items = {name: torch_toy.tensor(kind, shape, str(key)) for key, (name, kind, shape) in enumerate(ROWS)}
    records = [
        ("archive/data.pkl", torch_toy.pickled(torch_toy.table(items))),
        ("archive/byteorder", b"little"),
        *((f"archive/data/{key}", bytes(torch_toy.nbytes(*row[1:]))) for key, row in enumerate(ROWS)),
        ("archive/version", b"3\n"),
    ]
    with path.open("wb") as target:
        torch_toy.padded([(name, len(data), data) for name, data in records], target)


def dcp(folder: Path) -> None:
    dcp_toy.write_toy(folder, toy.toy("llama", toy.config("toy_llama")))


MADE: dict[str, Callable[[Path], object]] = {
    "gguf": lambda folder: gguf_toy.llama().write(folder / "toy.gguf"),
    "gguf with a vocabulary": lambda folder: large_vocabulary().write(folder / "toy.gguf"),
    "gguf split": lambda folder: gguf_toy.Split(gguf_toy.llama(), 3).write(folder),
    "torch": lambda folder: (folder / "pytorch_model.bin").write_bytes(torch_toy.file(ROWS)),
    "torch padded": lambda folder: padded(folder / "pytorch_model.bin"),
    "torch legacy": lambda folder: (folder / "pytorch_model.bin").write_bytes(torch_toy.legacy(ROWS)),
    "torch torn": lambda folder: (folder / "pytorch_model.bin").write_bytes(torch_toy.file(ROWS)[:-200_000]),
    "dcp": dcp,
}


@pytest.fixture(params=MADE)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    MADE[request.param](made)
    return made


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(patience, "FIRST", 0.001)
    with Web(folder) as web, Web(folder) as cdn:
        monkeypatch.setenv("HF_ENDPOINT", web.url)
        yield Hub(web, cdn)


@pytest.mark.usefixtures("hub")
def test_a_repository_says_the_same_as_the_folder(folder: Path, tmp_path: Path) -> None:
    assert told(api.check("hf://org/v3")) == told(api.check(str(folder)))
    sums = tmp_path / "SHA256SUMS"
    sums.write_text("".join(f"{sha256(file)}  {file.name}\n" for file in folder.iterdir()))
    near, far = told(api.verify(str(folder), against=[str(sums)])), told(api.verify("hf://org/v3"))
    for table in (near, far):
        # what is said of the hashes names where they are from
        del table["notes"]
        table["findings"] = [{**each, "cure": ""} for each in table["findings"]]
    assert far == near


# a web server lists no folder, and torch.distributed needs one
@pytest.mark.parametrize("made", [name for name in MADE if name != "dcp"])
def test_a_file_says_the_same_as_here(made: str, tmp_path: Path) -> None:
    MADE[made](tmp_path)
    name = min(file.name for file in tmp_path.iterdir() if file.suffix != ".json")
    with Web(tmp_path) as web:
        assert told(api.check(f"{web.url}/{name}")) == told(api.check(str(tmp_path / name)))


def requests(web: Web, name: str) -> int:
    return sum(request.path == name for request in web.log)


def test_a_vocabulary_takes_a_second_request(tmp_path: Path) -> None:
    file = large_vocabulary().write(tmp_path / "toy.gguf")
    assert len(large_vocabulary().head()) > 30 * HEAD
    with Web(tmp_path) as web:
        api.check(f"{web.url}/toy.gguf")
        assert requests(web, "toy.gguf") == 2
        assert sum(request.sent for request in web.log if request.path == "toy.gguf") <= file.stat().st_size


def test_the_records_of_an_archive_are_fetched_together(tmp_path: Path) -> None:
    padded(tmp_path / "pytorch_model.bin")
    with Web(tmp_path, latency=0.01) as web:
        assert len(api.inspect(f"{web.url}/pytorch_model.bin").families) == 1
        assert requests(web, "pytorch_model.bin") <= len(ROWS) + 4
        assert 1 < web.peak <= 16
        assert web.bytes < 4 * HEAD

"""Models on a hub: a server that answers as Hugging Face's API does, with large files behind a redirect."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hub import COMMIT, Hub
from web import Web, model, status, told

from weightlint import api
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.remote import patience
from weightlint.remote.hub_address import Repository, page, parse

pytest.importorskip("huggingface_hub", reason="the client of hf://")
pytest.importorskip("aiohttp", reason="the client of weightlint[remote]")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory, shards=3)


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Web(folder) as web, Web(folder) as cdn:
        monkeypatch.setenv("HF_ENDPOINT", web.url)
        monkeypatch.setenv("HF_TOKEN", "hf_hush")
        monkeypatch.setattr(patience, "FIRST", 0.001)
        yield Hub(web, cdn)


@pytest.mark.parametrize(
    "target", ["hf://org/v3", "hf://org/v3@main", f"hf://org/v3@{COMMIT}", "hf://org/v3@refs/pr/1"]
)
def test_a_model_on_the_hub_is_checked_as_its_folder(folder: Path, hub: Hub, target: str) -> None:
    report = api.check(target)
    assert told(report) == told(api.check(str(folder)))
    assert report.facts.target == f"hf://org/v3@{COMMIT}"
    assert all(request.status == 200 for request in hub.web.log if request.path.startswith("api/models/"))
    assert set(hub.cdn.requests(".safetensors").values()) == {1}
    assert len(hub.cdn.log) == 3


def test_the_token_is_given_to_the_hub_and_to_nobody_else(hub: Hub) -> None:
    api.check("hf://org/v3")
    asked = [request for request in hub.web.log if "org/v3" in request.path]
    assert {request.headers.get("Authorization") for request in asked} == {"Bearer hf_hush"}
    assert {request.headers.get("Authorization") for request in hub.cdn.log} == {None}


def test_verify_compares_with_what_the_hub_lists(hub: Hub) -> None:
    report = api.verify("hf://org/v3")
    assert report.findings == ()
    assert report.facts.complete
    origin = f"from the Hugging Face hub at commit {COMMIT[:12]}"
    assert {note for note in report.notes if origin in note} == {
        f"2 of 5 files have a git-sha1 {origin}",
        f"3 of 5 files have a sha256 {origin}",
    }
    assert len(hub.web.requests(".safetensors")) == 0
    assert [
        request.path for request in hub.web.log if "resolve" in request.path and SHARD in request.path
    ] == [f"org/v3/resolve/{COMMIT}/{SHARD}"]


def test_bytes_that_are_not_what_the_hub_lists_are_found(folder: Path, hub: Hub, tmp_path: Path) -> None:
    data = bytearray((folder / SHARD).read_bytes())
    data[-1] ^= 1
    (tmp_path / SHARD).write_bytes(data)
    hub.cdn.routes = {f"blobs/{SHARD}": lambda handler: handler.serve(tmp_path / SHARD), **hub.cdn.routes}
    (finding,) = api.verify("hf://org/v3").findings
    assert finding.code == "WL705"
    assert finding.place.files == (SHARD,)


def test_a_file_or_folder_of_a_repository_can_be_named(folder: Path, hub: Hub) -> None:
    assert told(api.check(f"hf://org/v3/{SHARD}")) == told(api.check(str(folder / SHARD)))
    (hub.web.root / "sub").mkdir()
    try:
        for name in ("config.json", SHARD):
            (hub.web.root / "sub" / name).write_bytes((folder / name).read_bytes())
        report = api.check("hf://org/v3/sub")
        assert told(report) == told(api.check(str(folder / "sub")))
        assert report.facts.target == f"hf://org/v3@{COMMIT}/sub"
    finally:
        for file in (hub.web.root / "sub").iterdir():
            file.unlink()
        (hub.web.root / "sub").rmdir()
    with pytest.raises(UsageError, match="no such file or folder at commit"):
        api.check("hf://org/v3/absent")


def test_a_page_of_the_hub_is_the_model(folder: Path, hub: Hub) -> None:
    for address in (f"{hub.web.url}/org/v3", f"{hub.web.url}/org/v3/tree/main"):
        report = api.check(address)
        assert report.facts.target == f"hf://org/v3@{COMMIT}"
        assert told(report) == told(api.check(str(folder)))


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("hf://org/absent", r"no such model, or it is private: set HF_TOKEN"),
        ("hf://org/v3@v9", "the repository has no revision v9"),
        ("hf://datasets/org/data", "is no model"),
        ("hf://", "is no model"),
        ("hf://org/../x", "no such model"),
    ],
)
def test_what_is_not_on_the_hub_is_told(target: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        api.check(target)


def test_a_gated_model_is_told_once_and_with_what_to_do(hub: Hub) -> None:
    hub.gated = True
    with pytest.raises(UsageError, match=r"gated or private: accept its terms .* set HF_TOKEN"):
        api.check("hf://org/v3")


def test_a_file_that_is_listed_and_not_there_is_told(hub: Hub) -> None:
    hub.cdn.always[f"blobs/{SHARD}"] = status(404)
    (finding,) = api.check("hf://org/v3").findings
    assert finding.message.startswith(f"{SHARD} cannot be read: is listed, but is not there")


def test_a_hub_that_lists_nonsense_is_no_crash(hub: Hub) -> None:
    real = hub.row
    hub.row = lambda file: {**real(file), "size": -1}  # type: ignore[method-assign] # one lie at a time
    with pytest.raises(UsageError, match="no such file or folder"):
        api.check("hf://org/v3")
    hub.row = lambda file: {**real(file), "lfs": {"oid": "x\x1b[2J", "size": 1, "pointerSize": 1}}  # type: ignore[method-assign]
    assert not any("sha256" in note for note in api.verify("hf://org/v3").notes)
    hub.row = lambda file: {"type": "file", "path": file.name}  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="the hub cannot be asked"):
        api.check("hf://org/v3")


def test_a_hub_that_is_busy_is_asked_again(folder: Path, hub: Hub) -> None:
    hub.refusals = [(503, ""), (429, ""), (500, "")]
    assert told(api.check("hf://org/v3")) == told(api.check(str(folder)))
    hub.refusals = [(503, "")] * 50
    with pytest.raises(UsageError, match="the hub answered 503"):
        api.check("hf://org/v3")


def test_a_hub_that_is_not_there_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with Web(hub.web.root) as gone:
        url = gone.url
    monkeypatch.setenv("HF_ENDPOINT", url)
    with pytest.raises(UsageError, match="the hub cannot be asked"):
        api.check("hf://org/v3")


def test_nothing_secret_is_shown(hub: Hub) -> None:
    hub.cdn.always[f"blobs/{SHARD}"] = status(500)
    found = CliRunner().invoke(app, ["check", "hf://org/v3"])
    assert "answered 500" in found.output
    assert "hush" not in found.output
    assert "hidden" not in found.output


@pytest.mark.usefixtures("hub")
def test_a_repository_can_be_sent_elsewhere_without_the_token(folder: Path) -> None:
    from weightlint.stores.hub import STORE

    store, _ = STORE.open("hf://org/v3")
    packed = pickle.dumps(store)
    assert b"hush" not in packed
    twin = pickle.loads(packed)  # noqa: S301 -- our own
    with twin.open(SHARD) as blob:
        assert blob.read(8, 99) == (folder / SHARD).read_bytes()[8:99]
        assert blob.version == hashlib.sha256((folder / SHARD).read_bytes()).hexdigest()


def test_addresses_of_repositories_are_read() -> None:
    assert parse("hf://org/model") == Repository("org/model")
    assert parse("hf://gpt2") == Repository("gpt2")
    assert parse("hf://org/model@refs/pr/7/q4/a.gguf") == Repository("org/model", "refs/pr/7", "q4/a.gguf")
    assert parse("hf://org/model@refs%2Fpr%2F7") == Repository("org/model", "refs/pr/7")
    assert page("https://huggingface.co/org/model") == Repository("org/model")
    assert page("https://huggingface.co/org/model/blob/main/a.gguf") == Repository(
        "org/model", "main", "a.gguf"
    )
    assert page("https://huggingface.co/org/model/resolve/v1/a.gguf?download=true") == Repository(
        "org/model", "v1", "a.gguf"
    )
    assert page("https://huggingface.co/org/model/blob/main/a%20b.gguf") == Repository(
        "org/model", "main", "a b.gguf"
    )
    assert page("https://huggingface.co/datasets/org/data") is None
    assert page("https://example.com/org/model") is None

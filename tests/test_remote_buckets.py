"""Checkpoints in buckets: a real S3 protocol server on this machine, and a server that speaks as Google's storage does."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from web import Web, model, told

from weightlint import api
from weightlint.errors import NothingFoundError, UsageError
from weightlint.remote import patience

fsspec = pytest.importorskip("fsspec", reason="weightlint[remote]")
s3fs = pytest.importorskip("s3fs", reason="the file system of s3://")
boto3 = pytest.importorskip("boto3", reason="uploads to the S3 server, and comes with moto")
moto_server = pytest.importorskip("moto.server", reason="the S3 server")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from web import Handler


SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory, shards=3)


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[Any]:
    """Run an S3 server with the folder in two buckets, one of them for everybody."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        for file in folder.iterdir():
            client.upload_file(str(file), "models", f"org/v3/{file.name}")
            client.upload_file(str(file), "models", f"open/{file.name}", ExtraArgs={"ACL": "public-read"})
        client.put_object(Bucket="models", Key="org/empty/readme.txt", Body=b"nothing here")
        yield client
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST", 0.001)


@pytest.mark.usefixtures("s3")
def test_s3_says_the_same_as_the_folder(folder: Path) -> None:
    report = api.check("s3://models/org/v3")
    assert told(report) == told(api.check(str(folder)))
    assert report.facts.target == "s3://models/org/v3"
    assert told(api.verify("s3://models/org/v3/")) == told(api.verify(str(folder)))
    assert api.inspect("s3://models/org/v3").families == api.inspect(str(folder)).families


@pytest.mark.usefixtures("s3")
def test_a_file_in_s3_can_be_named(folder: Path) -> None:
    for name in (SHARD, "model.safetensors.index.json"):
        assert told(api.check(f"s3://models/org/v3/{name}")) == told(api.check(str(folder / name)))


def test_defects_in_s3_are_told_as_of_the_folder(folder: Path, s3: Any, tmp_path: Path) -> None:
    for file in folder.iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[:-7] if file.name == SHARD else data)
    (tmp_path / "model-00003-of-00003.safetensors").unlink()
    (tmp_path / "model-00001-of-00003.safetensors").write_bytes(b"")
    for file in tmp_path.iterdir():
        s3.upload_file(str(file), "models", f"torn/{file.name}")
    found = told(api.check("s3://models/torn"))
    assert found == told(api.check(str(tmp_path)))
    assert {each["code"] for each in found["findings"]} >= {"WL101", "WL102", "WL103"}


@pytest.mark.usefixtures("s3")
def test_what_is_not_in_s3_is_told() -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        api.check("s3://models/org/absent")
    with pytest.raises(UsageError, match="s3://absent/x"):
        api.check("s3://absent/x")
    with pytest.raises(NothingFoundError, match="no tensor file"):
        api.check("s3://models/org/empty")
    with pytest.raises(UsageError, match="names no bucket"):
        api.check("s3://")


@pytest.mark.usefixtures("s3")
def test_without_credentials_a_bucket_is_read_as_the_public_sees_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    assert told(api.check("s3://models/open")) == told(api.check(str(folder)))
    denied = api.check("s3://models/org/v3")
    assert "config.json cannot be read: no permission" in denied.findings[0].message
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.usefixtures("s3")
def test_results_are_kept_until_the_object_changes(folder: Path, s3: Any, tmp_path: Path) -> None:
    for file in folder.iterdir():
        s3.upload_file(str(file), "models", f"kept/{file.name}")
    kept = tmp_path / "kept.json"
    first = api.verify("s3://models/kept", resume=str(kept))
    before = json.loads(kept.read_text())["rows"]
    assert told(api.verify("s3://models/kept", resume=str(kept))) == told(first)
    # seconds are among what is kept: equal rows were not read again
    assert json.loads(kept.read_text())["rows"] == before
    data = bytearray((folder / SHARD).read_bytes())
    data[-64:] = b"\xff" * 64
    s3.put_object(Bucket="models", Key=f"kept/{SHARD}", Body=bytes(data))
    changed = api.verify("s3://models/kept", resume=str(kept))
    assert "WL701" in {finding.code for finding in changed.findings}


def test_an_object_that_is_replaced_after_it_was_listed_is_told(folder: Path, s3: Any) -> None:
    from weightlint.stores.fsspec import STORE

    data = (folder / SHARD).read_bytes()
    s3.put_object(Bucket="models", Key=f"replaced/{SHARD}", Body=data)
    store, _ = STORE.open("s3://models/replaced")
    assert store.names() == [SHARD]
    s3.put_object(Bucket="models", Key=f"replaced/{SHARD}", Body=data[::-1])
    with store.open(SHARD) as blob, pytest.raises(ConnectionError, match="has changed on the server"):
        blob.read(0, 100)


@pytest.mark.usefixtures("s3")
def test_a_bucket_can_be_sent_elsewhere(folder: Path) -> None:
    from weightlint.stores.fsspec import STORE

    store, name = STORE.open("s3://models/org/v3")
    assert name == ""
    twin = pickle.loads(pickle.dumps(store))  # noqa: S301 -- our own
    assert b"hush" not in pickle.dumps(store)
    with twin.open(SHARD) as blob:
        assert blob.read(100, 200) == (folder / SHARD).read_bytes()[100:200]


class Google:
    """A bucket in the JSON API of Google Cloud Storage, as far as listings and downloads go."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.objects = {f"{prefix}/{file.name}": file for file in folder.iterdir()}
        self.served = dict(self.objects)

    def listed(self, handler: Handler) -> None:
        parts = urlsplit(handler.path)
        name = unquote(parts.path.partition("/o/")[2])
        if name:
            found = self.objects.get(name)
            body = json.dumps(self.row(name)) if found else "{}"
            handler.reply(200 if found else 404, body.encode())
            return
        prefix = parse_qs(parts.query).get("prefix", [""])[0]
        rows = [self.row(each) for each in self.objects if each.startswith(prefix)]
        direct = [row for row in rows if "/" not in row["name"][len(prefix) :]]
        deeper = {
            prefix + row["name"][len(prefix) :].partition("/")[0] + "/" for row in rows if row not in direct
        }
        handler.reply(200, json.dumps({"items": direct, "prefixes": sorted(deeper)}).encode())

    def row(self, name: str) -> dict[str, str]:
        data = self.objects[name].read_bytes()
        md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        return {"name": name, "bucket": "models", "size": str(len(data)), "md5Hash": md5, "generation": "1"}

    def media(self, handler: Handler) -> None:
        handler.serve(self.served[unquote(urlsplit(handler.path).path.partition("/o/")[2])])


@pytest.fixture
def gs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    gcsfs = pytest.importorskip("gcsfs.core", reason="the file system of gs://")
    google = Google(folder, "org/v3")
    with Web(folder) as web:
        web.routes |= {"storage/v1/b/models/o": google.listed, "download/storage/v1/": google.media}
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.url)
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        gcsfs.GCSFileSystem.clear_instance_cache()
        yield google
        gcsfs.GCSFileSystem.clear_instance_cache()


@pytest.mark.usefixtures("gs")
def test_gs_says_the_same_as_the_folder(folder: Path) -> None:
    assert told(api.check("gs://models/org/v3")) == told(api.check(str(folder)))
    report = api.verify("gs://models/org/v3")
    assert not report.findings
    assert report.facts.complete
    assert any("md5 from the listing of the bucket" in note for note in report.notes)


def test_another_md5_than_the_listing_of_gs_gives_is_found(gs: Google, folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / SHARD).read_bytes())
    data[-1] ^= 1
    (tmp_path / SHARD).write_bytes(data)
    gs.served[f"org/v3/{SHARD}"] = tmp_path / SHARD
    report = api.verify("gs://models/org/v3")
    assert "WL705" in {finding.code for finding in report.findings}

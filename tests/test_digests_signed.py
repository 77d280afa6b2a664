"""Model signatures that model-signing has made with a key, and the manifests and blobs of Ollama."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sound import blamed, flip, laid, sha256, shards, silent, weights

from weightlint import api, digest
from weightlint.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = shards(2)
FIRST, SECOND = FILES
SIGNED = "model.sig (its signature is not verified)"
PIECE = 30_000


def signed(folder: Path, place: Path, *, pieces: bool = False, algorithm: str = "sha256") -> Path:
    """Sign the files of a folder with model-signing and a fresh key."""
    signer = pytest.importorskip("model_signing", reason="it signs what is read")
    forms = pytest.importorskip("cryptography.hazmat.primitives.serialization", reason="it makes the key")
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec", reason="it makes the key")

    key = folder.with_name("key")
    pem, plain = forms.Encoding.PEM, forms.NoEncryption()
    secret = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(secret.private_bytes(pem, forms.PrivateFormat.PKCS8, plain))
    made = signer.hashing.Config()
    if pieces:
        made.use_shard_serialization(hashing_algorithm=algorithm, shard_size=PIECE)
    else:
        made.use_file_serialization(hashing_algorithm=algorithm)
    made.set_ignored_paths(paths=[place.name])
    signer.signing.Config().set_hashing_config(made).use_elliptic_key_signer(private_key=key).sign(
        folder, place
    )
    return place


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("algorithm", "shown"), [("sha256", "sha256"), ("blake2", "blake2b"), ("blake3", "blake3")]
)
def test_a_signature_of_files(tmp_path: Path, algorithm: str, shown: str) -> None:
    model = laid(tmp_path / "model", {**FILES, "config.json": b"{}"})
    signed(model, model / "model.sig", algorithm=algorithm)
    assert f"3 of 4 files have a {shown} from {SIGNED}" in silent(model).notes
    flip(model / SECOND)
    blamed(model, SECOND, SIGNED)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("algorithm", ["sha256", "blake2"])
def test_a_signature_of_pieces(tmp_path: Path, algorithm: str) -> None:
    model = laid(tmp_path / "model", FILES)
    signed(model, model / "model.sig", pieces=True, algorithm=algorithm)
    notes = silent(model).notes
    assert any("2 of 3 files have" in note and "of its pieces" in note and SIGNED in note for note in notes)
    flip(model / SECOND, back=len(FILES[SECOND]) - PIECE - 1000)
    assert f"bytes {PIECE:,} to {2 * PIECE - 1:,}" in blamed(model, SECOND, SIGNED).message


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pieces_give_the_size_of_a_file(tmp_path: Path) -> None:
    model = laid(tmp_path / "model", {"config.json": b"{}" * PIECE, **FILES})
    signed(model, model / "model.sig", pieces=True)
    (model / "config.json").write_bytes(b"{}" * PIECE + b" ")
    assert "the size from" in blamed(model, "config.json", SIGNED).message


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_signature_that_is_given(tmp_path: Path) -> None:
    there = laid(tmp_path / "there", FILES)
    path = signed(there, tmp_path / "published.json")
    here = laid(tmp_path / "here", FILES)
    origin = "published.json (its signature is not verified)"
    assert f"2 of 2 files have a sha256 from {origin}" in silent(here, against=[str(path)]).notes
    flip(here / FIRST)
    blamed(here, FIRST, origin, against=[str(path)])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_without_the_package_of_an_algorithm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = laid(tmp_path / "model", FILES)
    signed(model, model / "model.sig", algorithm="blake3")
    monkeypatch.setitem(digest.PACKAGES, "blake3", "no_such_package")
    notes = silent(model).notes
    assert any("the blake3 of 2 files" in note and "pip install no_such_package" in note for note in notes)


def bundle(statement: object) -> bytes:
    """Wrap a statement as Sigstore bundles do."""
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    media = "application/vnd.dev.sigstore.bundle.v0.3+json"
    return json.dumps({"mediaType": media, "dsseEnvelope": {"payload": payload}}).encode()


def statement(
    resources: list[dict[str, Any]], method: str = "files", root: str | None = None
) -> dict[str, Any]:
    """Make a statement of version 1.0 (the docstring of `Payload` in model_signing/_signing/signing.py)."""
    joined = b"".join(bytes.fromhex(each["digest"]) for each in resources if root is None)
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root or hashlib.sha256(joined).hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"serialization": {"method": method}, "resources": resources},
    }


def resource(name: str, value: str, algorithm: str = "sha256") -> dict[str, Any]:
    return {"name": name, "algorithm": algorithm, "digest": value}


def test_a_statement_of_version_0_2(tmp_path: Path) -> None:
    """One subject for each file (`dsse_payload_to_manifest_compat` in model_signing/_signing/signing.py)."""
    model = laid(tmp_path / "model", FILES)
    subjects = [{"name": name, "digest": {"sha256": sha256(data)}} for name, data in FILES.items()]
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://model_signing/Digests/v0.1",
        "subject": subjects,
    }
    (model / "model.sig").write_bytes(bundle(said))
    assert f"2 of 3 files have a sha256 from {SIGNED}" in silent(model).notes
    flip(model / FIRST)
    blamed(model, FIRST, SIGNED)


WRONG = "0" * 64
DEEP = b"[" * 100_000
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no bundle": b"{}",
    "garbage": bytes(range(256)) * 400,
    "deep": b'{"dsseEnvelope": ' + DEEP,
    "a list": b'{"dsseEnvelope": [1, 2]}',
    "no base64": b'{"dsseEnvelope": {"payload": "%%%"}}',
    "no ASCII": '{"dsseEnvelope": {"payload": "é"}}'.encode(),
    "a number": b'{"dsseEnvelope": {"payload": 7}}',
    "no statement": bundle([1]),
    "a deep statement": json.dumps({"dsseEnvelope": {"payload": base64.b64encode(DEEP).decode()}}).encode(),
    "an unknown predicate": bundle({"_type": "https://in-toto.io/Statement/v1", "predicateType": "x"}),
    "another root": bundle(statement([resource(FIRST, WRONG)], root="1" * 64)),
    "no hex": bundle(statement([resource(FIRST, "zz" * 32)], root="1" * 64)),
    "too short": bundle(statement([resource(FIRST, "00" * 20)])),
    "another algorithm": bundle(statement([resource(FIRST, WRONG, "md5")])),
    "a piece of nothing": bundle(statement([resource(f"{FIRST}:7:7", WRONG)], "shards")),
    "a piece backwards": bundle(statement([resource(f"{FIRST}:9:7", WRONG)], "shards")),
    "a hole": bundle(statement([resource(f"{FIRST}:{at}:{at + 7}", WRONG) for at in (0, 8)], "shards")),
    "an overlap": bundle(statement([resource(f"{FIRST}:0:{at}", WRONG) for at in range(1, 9999)], "shards")),
    "no piece": bundle(statement([resource(FIRST, WRONG)], "shards")),
    "digits of another script": bundle(statement([resource(f"{FIRST}:\u0660:\u0667", WRONG)], "shards")),
    "a piece of 5,000 digits": bundle(statement([resource(f"{FIRST}:0:{'9' * 5000}", WRONG)], "shards")),
    "out of the folder": bundle(statement([resource(f"../{FIRST}", WRONG)])),
    "resources that are none": bundle(statement([]) | {"predicate": {"resources": "x"}}),
    "subjects that are none": bundle(statement([]) | {"subject": 7}),
    "keys twice": b'{"dsseEnvelope": {"payload": ""}, "dsseEnvelope": {"payload": ""}}',
}  # fmt: skip


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_signatures_that_say_nothing(tmp_path: Path, data: bytes) -> None:
    model = laid(tmp_path / "model", FILES)
    (model / "model.sig").write_bytes(data)
    silent(model)
    here = laid(tmp_path / "here", FILES)
    with suppress(UsageError):
        api.verify(str(here), against=[str(model / "model.sig")])


def test_a_signature_that_contradicts_itself_is_told(tmp_path: Path) -> None:
    model = laid(tmp_path / "model", FILES)
    (model / "model.sig").write_bytes(BROKEN["another root"])
    assert any("contradicts itself" in note for note in silent(model).notes)


def manifest(data: bytes, **more: Any) -> dict[str, Any]:
    """Make a manifest as Ollama keeps it below `models/manifests` (an OCI image manifest)."""
    layer = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{sha256(data)}",
        "size": len(data),
    }
    licence = {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{WRONG}", "size": 7}
    media = "application/vnd.docker.distribution.manifest.v2+json"
    return {"schemaVersion": 2, "mediaType": media, "layers": [licence, layer | more]}


@pytest.mark.parametrize("between", ["-", ":"])
def test_a_blob_of_ollama(tmp_path: Path, between: str) -> None:
    """A blob has no suffix; it is given by its path, or by a link with a better name."""
    blob = tmp_path / "blobs" / f"sha256{between}{sha256(FILES[FIRST])}"
    laid(blob.parent, {blob.name: FILES[FIRST]})
    link = tmp_path / "here" / "model.safetensors"
    link.parent.mkdir()
    link.symlink_to(blob)
    assert "1 of 1 file has a sha256 from blob names of Ollama" in silent(link.parent).notes
    flip(link)
    blamed(link.parent, "model.safetensors", "blob names of Ollama")


def test_a_manifest_of_ollama(tmp_path: Path) -> None:
    path = tmp_path / "latest"
    path.write_text(json.dumps(manifest(FILES[FIRST])))
    here = laid(tmp_path / "here", {"model.safetensors": FILES[FIRST]})
    options = {"against": [str(path)]}
    assert "1 of 1 file has a sha256 from the manifest of Ollama" in silent(here, **options).notes
    flip(here / "model.safetensors")
    blamed(here, "model.safetensors", "the manifest of Ollama", **options)
    laid(here, {"model.safetensors": weights(0, rows=65)})
    assert "the size" in blamed(here, "model.safetensors", "the manifest of Ollama", **options).message


@pytest.mark.parametrize(
    "edit",
    [
        lambda it: it | {"layers": []},
        lambda it: it | {"layers": None},
        lambda it: it | {"layers": it["layers"] * 2},
        lambda it: it | {"layers": [it["layers"][1] | {"digest": "sha256:zz"}]},
        lambda it: it | {"layers": [it["layers"][1] | {"digest": None}]},
        lambda it: it | {"layers": [it["layers"][1] | {"digest": "sha256-../../x"}]},
        lambda it: it | {"layers": [it["layers"][1], 7, "x", [[]]] * 2},
    ],
)
def test_manifests_of_ollama_that_say_nothing(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "latest"
    path.write_text(json.dumps(edit(manifest(FILES[FIRST]))))
    here = laid(tmp_path / "here", {"model.safetensors": FILES[FIRST]})
    with pytest.raises(UsageError, match=r"no manifest of Ollama|holds no hashes"):
        api.verify(str(here), against=[str(path)])


@pytest.mark.parametrize("size", [-1, 1.5, "7", True, None, 10**30])
def test_sizes_that_are_none(tmp_path: Path, size: object) -> None:
    path = tmp_path / "latest"
    path.write_text(json.dumps(manifest(FILES[FIRST], size=size)))
    here = laid(tmp_path / "here", {"model.safetensors": FILES[FIRST]})
    found = api.verify(str(here), against=[str(path)]).findings
    assert [it.code for it in found] == []

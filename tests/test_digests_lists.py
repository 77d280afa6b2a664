"""Lists of hashes as the programs that make them write them: sha256sum and its sisters, openssl, llama-gguf-hash."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest
import xxhash
from sound import blamed, flip, laid, sha256, shards, silent, weights

from weightlint import api
from weightlint.errors import UsageError
from weightlint.probe import Hash, Job
from weightlint.scanning.scan import Scan
from weightlint.stores.local import LocalStore
from weightlint.verifying.given import read_given

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILES = shards(3)
FIRST, SECOND, THIRD = FILES


def listed(folder: Path, words: Sequence[str], name: str, files: Sequence[str] = ()) -> Path:
    """Let a program write a list of files of a folder into the folder."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} writes the list that is read")
    made = subprocess.run([*words, *(files or FILES)], cwd=folder, check=True, capture_output=True)
    path = folder / name
    path.write_bytes(made.stdout)
    return path


@pytest.mark.parametrize(
    ("words", "name", "algorithm"),
    [
        (["sha256sum"], "SHA256SUMS", "sha256"),
        (["sha256sum", "-b"], "sha256sums.txt", "sha256"),
        (["sha256sum", "--tag"], "CHECKSUM", "sha256"),
        (["sha512sum"], "checksums.txt", "sha512"),
        (["sha384sum", "-b"], "model.sha384", "sha384"),
        (["sha224sum"], "SHA224SUMS", "sha224"),
        (["sha1sum", "--tag"], "sha1sum.txt", "sha1"),
        (["md5sum"], "MD5SUMS", "md5"),
        (["b2sum", "--tag"], "checksum", "blake2b"),
        (["openssl", "dgst", "-blake2b512"], "checksums", "blake2b"),
        (["shasum", "-a", "256"], "SHA256SUMS", "sha256"),
        (["openssl", "dgst", "-sha256"], "checksums", "sha256"),
        (["openssl", "dgst", "-sha512"], "release-checksums.txt", "sha512"),
        (["openssl", "dgst", "-md5"], "checksums", "md5"),
    ],
)
def test_what_programs_write(tmp_path: Path, words: list[str], name: str, algorithm: str) -> None:
    laid(tmp_path, FILES)
    listed(tmp_path, words, name)
    article = "an" if algorithm[0] in "aeiou" else "a"
    expected = f"3 of 4 files have {article} {algorithm} from {name}"
    assert expected in silent(tmp_path).notes
    flip(tmp_path / SECOND)
    found = blamed(tmp_path, SECOND, name)
    assert found.expected == hashlib.new(algorithm, FILES[SECOND]).hexdigest()


@pytest.mark.parametrize("words", [["sha256sum"], ["sha256sum", "-b"], ["sha256sum", "--tag"]])
@pytest.mark.parametrize(
    "name",
    [
        "a b.safetensors",
        "back\\slash.safetensors",
        "new\nline.safetensors",
        "cr\r.safetensors",
        "*.safetensors",
        "(x) = y.safetensors",
        "né 模型.safetensors",
        "#.safetensors",
    ],
)
def test_odd_names(tmp_path: Path, words: list[str], name: str) -> None:
    (tmp_path / name).write_bytes(FILES[FIRST])
    listed(tmp_path, words, "SHA256SUMS", [name])
    assert "1 of 2 files has a sha256 from SHA256SUMS" in silent(tmp_path).notes
    flip(tmp_path / name)
    blamed(tmp_path, name, "SHA256SUMS")


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.upper().replace("MODEL", "model").replace("SAFETENSORS", "safetensors").replace("-OF-", "-of-"),
        lambda text: "\ufeff" + text,
        lambda text: f"# made on Monday\n\n{text}\n\n",
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("  ", "  ./"),
        lambda text: text.replace("  ", "\t"),
        lambda text: text.replace("  ", "  /build/output/"),
        lambda text: text + "md5 and sha1 are not given any more\n",
    ],
)  # fmt: skip
def test_what_people_do_to_lists(tmp_path: Path, edit: object) -> None:
    assert callable(edit)
    laid(tmp_path, FILES)
    path = listed(tmp_path, ["sha256sum"], "SHA256SUMS")
    path.write_bytes(edit(path.read_text()).encode())
    assert "3 of 4 files have a sha256 from SHA256SUMS" in silent(tmp_path).notes
    flip(tmp_path / THIRD)
    blamed(tmp_path, THIRD, "SHA256SUMS")


def test_a_list_of_windows(tmp_path: Path) -> None:
    """PowerShell's `>` writes UTF-16 with a byte order mark."""
    laid(tmp_path, FILES)
    path = listed(tmp_path, ["sha256sum"], "SHA256SUMS")
    path.write_bytes(path.read_text().replace("\n", "\r\n").encode("utf-16"))
    assert "3 of 4 files have a sha256 from SHA256SUMS" in silent(tmp_path).notes


@pytest.mark.parametrize(
    "name", ["blake3-checksums.txt", "B2SUMS.checksums", "sha3-256-checksums.txt", "sha3_checksum"]
)
def test_lists_of_algorithms_of_the_same_length(tmp_path: Path, name: str) -> None:
    """64 digits are a sha256 unless the name of the list tells otherwise."""
    laid(tmp_path, FILES)
    (tmp_path / name).write_text(f"{'5' * 64}  {FIRST}\n{'5' * 128}  {SECOND}\n")
    silent(tmp_path)
    with pytest.raises(UsageError, match="has no line that gives the hash of a file"):
        api.verify(str(tmp_path), against=[str(tmp_path / name)])


def test_one_list_of_several_algorithms(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    texts = [listed(tmp_path, [program], "x").read_text() for program in ("md5sum", "sha1sum", "sha256sum")]
    (tmp_path / "x").unlink()
    (tmp_path / "checksums.txt").write_text("".join(texts))
    notes = silent(tmp_path).notes
    for algorithm in ("md5", "sha1", "sha256"):
        assert f"3 of 4 files have a {algorithm} from checksums.txt" in notes
    flip(tmp_path / FIRST)
    assert blamed(tmp_path, FIRST, "checksums.txt").expected == sha256(FILES[FIRST])


def test_a_hash_alone(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    (tmp_path / f"{FIRST}.sha256").write_text(sha256(FILES[FIRST]) + "\n")
    assert f"1 of 4 files has a sha256 from {FIRST}.sha256" in silent(tmp_path).notes
    flip(tmp_path / FIRST)
    blamed(tmp_path, FIRST, f"{FIRST}.sha256")


def test_a_list_above_the_folder(tmp_path: Path) -> None:
    laid(tmp_path, {f"int8/{name}": data for name, data in FILES.items()})
    listed(tmp_path, ["sha256sum"], "SHA256SUMS", [f"int8/{name}" for name in FILES])
    assert "3 of 3 files have a sha256 from ../SHA256SUMS" in silent(tmp_path / "int8").notes
    flip(tmp_path / "int8" / FIRST)
    blamed(tmp_path / "int8", FIRST, "../SHA256SUMS")


@pytest.mark.parametrize("name", ["anything.txt", "SHA256SUMS", "download.log"])
def test_a_list_that_is_given(tmp_path: Path, name: str) -> None:
    """It may be made in another folder and be of any name."""
    laid(tmp_path / "there" / "repo", FILES)
    path = listed(tmp_path / "there", ["sha256sum"], name, [f"repo/{each}" for each in FILES])
    here = laid(tmp_path / "here", FILES)
    assert f"3 of 3 files have a sha256 from {name}" in silent(here, against=[str(path)]).notes
    flip(here / FIRST)
    blamed(here, FIRST, name, against=[str(path)])


def test_names_that_lead_out_are_of_nothing(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    wrong = "0" * 64
    lines = [
        f"{wrong}  ../{FIRST}",
        f"{wrong}  a/../{SECOND}",
        f"{wrong}  sub/{THIRD}",
        f"{wrong}  {FIRST}\0",
    ]
    (tmp_path / "SHA256SUMS").write_text("\n".join(lines))
    assert [note for note in silent(tmp_path).notes if "a sha256 from" in note] == []


HOSTILE = {
    "nothing": b"",
    "garbage": np.random.default_rng(1).bytes(100_000),
    "no lines": b"x" * (1 << 20),
    "too long": b"0" * ((1 << 24) + 1),
    "many odd lines": b"x\n" * 100_000,
    "wrong lengths": b"".join(b"a" * size + b"  " + FIRST.encode() + b"\n" for size in (31, 33, 63, 65, 127, 129)),
    "a tag of another length": b"SHA256 (%b) = %b\n" % (FIRST.encode(), b"a" * 40),
    "an unknown tag": b"RIPEMD160 (%b) = %b\n" % (FIRST.encode(), b"a" * 40),
    "half UTF-16": b"\xff\xfea",
    "nested brackets": b"SHA256 (" * 10_000,
    "escapes": b"\\" * 100_000,
    "spaces": b"a" * 63 + b" " * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", ["SHA256SUMS", f"{FIRST}.sha256", f"{FIRST}.manifest"])
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_lists_that_say_nothing(tmp_path: Path, name: str, data: bytes) -> None:
    laid(tmp_path, FILES)
    path = tmp_path / name
    path.write_bytes(data)
    silent(tmp_path)
    here = laid(tmp_path / "here", FILES)
    with pytest.raises(UsageError, match=r"holds no hashes|has no line|says nothing of"):
        api.verify(str(here), against=[str(path)])


@pytest.mark.parametrize("name", ["SHA256SUMS", f"{FIRST}.sha256", "model.manifest", "model.sig", ".cache"])
def test_files_of_a_gigabyte_are_not_read(tmp_path: Path, name: str) -> None:
    laid(tmp_path, FILES)
    with (tmp_path / name).open("wb") as sparse:
        sparse.truncate(1 << 30)
    silent(tmp_path)


def test_odd_lines_are_told(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    path = listed(tmp_path, ["sha256sum"], "SHA256SUMS")
    path.write_text(path.read_text() + "zz\n" * 5)
    assert "SHA256SUMS: 5 lines of 8 were not understood" in silent(tmp_path).notes


def test_two_lists_that_contradict_each_other(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    listed(tmp_path, ["sha256sum"], "SHA256SUMS")
    (tmp_path / f"{FIRST}.sha256").write_text("f" * 64)
    report = api.verify(str(tmp_path))
    (found,) = report.findings
    assert (found.place.files, found.expected) == ((FIRST,), "f" * 64)
    assert any("one of the two is of another file" in note for note in report.notes)


def test_a_list_of_contradictions(tmp_path: Path) -> None:
    """As many lines as fit, each with another hash of the same file: told in a few words, and soon."""
    laid(tmp_path, {FIRST: FILES[FIRST]})
    lines = "".join(f"{at:064x}  {FIRST}\n" for at in range(50_000))
    (tmp_path / "SHA256SUMS").write_text(lines)
    report = api.verify(str(tmp_path), select=["WL705"])
    assert [it.place.files for it in report.findings] == [(FIRST,)]
    assert "sources contradict each other in 49,994 more hashes" in report.notes


def test_a_hash_for_each_of_many_tensors(tmp_path: Path) -> None:
    """Hashes of runs are begun and ended as their bytes come; neighbours and runs within runs as well."""
    data = quantised(tmp_path / "model.gguf")
    raw = (tmp_path / "model.gguf").read_bytes()
    ends = [0, 1, 7, len(raw) // 2, len(raw) - 1, len(raw)]
    runs = tuple(Hash("sha256", start, stop) for start in ends for stop in ends if start < stop)
    job = Job(key="k", file="model.gguf", size=len(raw), start=0, stop=len(raw), spans=(), hashes=runs)
    row = Scan(LocalStore(tmp_path))(job, lambda _: None)
    assert data
    assert row.digests == {run.key: sha256(raw[run.start : run.stop]) for run in runs}


def test_a_list_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, FILES)

    def refusing(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "exists", refusing)
    with pytest.raises(UsageError, match="Permission denied"):
        read_given(tmp_path / "SHA256SUMS", [*FILES])


def test_a_list_that_does_not_belong_here(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    path = tmp_path / "elsewhere.txt"
    path.write_text(f"{sha256(weights(9))}  other.safetensors\n")
    with pytest.raises(UsageError, match="says nothing of 4 files"):
        api.verify(str(tmp_path), against=[str(path)])


def quantised(path: Path) -> dict[str, bytes]:
    """Write a GGUF file with gguf's own writer; return the bytes of its tensors in order."""
    writer = gguf.GGUFWriter(path, "llama")
    chance, data = np.random.default_rng(5), {}
    for layer in range(3):
        values = chance.standard_normal((64, 256)).astype(np.float32)
        packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
        name = f"blk.{layer}.ffn_down.weight"
        writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        data[name] = packed.tobytes()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return data


HASHES = {
    "xxh64": lambda data: xxhash.xxh64(data).hexdigest(),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "sha256": sha256,
}


@pytest.mark.parametrize("algorithms", [["xxh64"], ["sha1"], ["sha256"], ["xxh64", "sha1", "sha256"]])
def test_llama_gguf_hash(tmp_path: Path, algorithms: list[str]) -> None:
    """Lines as `llama-gguf-hash --all` prints them (examples/gguf-hash/README.md and gguf-hash.cpp in llama.cpp)."""
    data = quantised(tmp_path / "model.gguf")
    lines = []
    for algorithm in algorithms:
        lines += [
            f"{algorithm:<8}  {HASHES[algorithm](raw)}  model.gguf:{name}" for name, raw in data.items()
        ]
        lines.append(f"{algorithm:<8}  {HASHES[algorithm](b''.join(data.values()))}  model.gguf")
    (tmp_path / "model.gguf.manifest").write_text("\n".join(lines) + "\n")
    notes = silent(tmp_path).notes
    for algorithm in algorithms:
        assert f"1 of 2 files has {algorithm} of its tensors from model.gguf.manifest" in notes
    flip(tmp_path / "model.gguf", back=len(data["blk.2.ffn_down.weight"]) + 40)
    found = blamed(tmp_path, "model.gguf", "model.gguf.manifest")
    assert found.place.tensors == ("blk.1.ffn_down.weight",)


def test_metadata_may_change_under_a_gguf_hash(tmp_path: Path) -> None:
    """Only the bytes of tensors are hashed: a manifest outlives an edit of keys."""
    data = quantised(tmp_path / "model.gguf")
    name, raw = next(iter(data.items()))
    (tmp_path / "model.gguf.manifest").write_text(f"sha256    {sha256(raw)}  model.gguf:{name}\n")
    file = tmp_path / "model.gguf"
    file.write_bytes(file.read_bytes().replace(b"llama", b"gemma", 1))
    assert [it for it in api.verify(str(tmp_path)).findings if it.code == "WL705"] == []


def test_the_verdicts_of_gguf_hash_are_no_manifest(tmp_path: Path) -> None:
    """`--check` prints the hash of the file it looked at, with a verdict behind."""
    data = quantised(tmp_path / "model.gguf")
    name = next(iter(data))
    (tmp_path / "check.manifest").write_text(f"sha256    {'0' * 64}  model.gguf:{name}  -  Not Ok\n")
    silent(tmp_path)


def test_base64_is_no_hash(tmp_path: Path) -> None:
    laid(tmp_path, FILES)
    odd = base64.b64encode(bytes.fromhex(sha256(FILES[FIRST]))).decode()
    (tmp_path / "SHA256SUMS").write_text(f"sha256-{odd}  {FIRST}\n")
    silent(tmp_path)

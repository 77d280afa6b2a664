"""`weightlint verify` from end to end: what is found in files of each format, what is not, what is kept."""

from __future__ import annotations

import errno
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from toy import FIXTURES

from weightlint import api
from weightlint.cli import app
from weightlint.finding import Level
from weightlint.runners.threads import Threads
from weightlint.stores.local import LocalBlob
from weightlint.verifying.run import Ears

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from weightlint.finding import Finding
    from weightlint.probe import Job, Probe, Row

FP8_NAN = 0x7F


def write(path: Path, tensors: dict[str, tuple[str, np.ndarray[Any, Any]]]) -> Path:
    """Write a safetensors file of arrays under the dtypes that are said."""
    table, at = {}, 0
    for name, (dtype, array) in tensors.items():
        table[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(array.tobytes() for _, array in tensors.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def bf16(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def normal(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.02


def layers(
    count: int = 6, *, rows: int = 64, columns: int = 256
) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    return {
        f"model.layers.{layer}.mlp.down_proj.weight": ("BF16", bf16(normal(rows, columns, seed=layer)))
        for layer in range(count)
    }


def told(path: Path, **options: Any) -> list[Finding]:
    return [*api.verify(str(path), **options).findings]


NAMED = "model.layers.3.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("dtype", "bits", "value"),
    [
        ("BF16", np.uint16, 0x7FC0),
        ("BF16", np.uint16, 0xFF80),
        ("F16", np.uint16, 0x7E00),
        ("F16", np.uint16, 0xFC00),
        ("F32", np.uint32, 0x7FC00000),
        ("F32", np.uint32, 0xFF800000),
        ("F64", np.uint64, 0x7FF8000000000000),
        ("F8_E4M3", np.uint8, 0x7F),
        ("F8_E4M3", np.uint8, 0xFF),
        ("F8_E5M2", np.uint8, 0x7D),
        ("F8_E5M2", np.uint8, 0xFC),
        ("F8_E4M3FNUZ", np.uint8, 0x80),
        ("F8_E5M2FNUZ", np.uint8, 0x80),
        ("F8_E8M0", np.uint8, 0xFF),
        ("C64", np.uint64, 0x7FC00000_00000000),
    ],
)
def test_one_value_that_is_not_finite(tmp_path: Path, dtype: str, bits: Any, value: int) -> None:
    """Patterns of bits: IEEE 754, OCP FP8 and MX, ONNX's float8 page."""
    array = np.full((64, 256), 0x38 if dtype.startswith("F8") else 0x3C, bits)
    array[::3] = 0x39
    array[17, 33] = value
    path = write(tmp_path / "m.safetensors", {NAMED: (dtype, array)})
    (found,) = told(path)
    offset = path.stat().st_size - array.nbytes + (17 * 256 + 33) * array.itemsize
    assert (found.code, found.place.tensors) == ("WL701", (NAMED,))
    near = offset + 4 if dtype == "C64" else offset
    assert f"at byte {near:,} of m.safetensors" in found.message or f"at byte {offset:,} of" in found.message
    assert "layer 3" in found.message


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ"])
def test_every_finite_byte_of_eight_bit_floats_is_silent(tmp_path: Path, dtype: str) -> None:
    nan = {
        "F8_E4M3": {0x7F, 0xFF},
        "F8_E5M2": {*range(0x7C, 0x80), *range(0xFC, 0x100)},
        "F8_E4M3FNUZ": {0x80},
        "F8_E5M2FNUZ": {0x80},
    }[dtype]
    array = np.array([byte for byte in range(256) if byte not in nan] * 64, np.uint8).reshape(64, -1)
    assert told(write(tmp_path / "m.safetensors", {"w": (dtype, array)})) == []


def test_the_expert_is_named(tmp_path: Path) -> None:
    array = bf16(normal(64, 256))
    array[0, 0] = 0x7FC0
    name = "model.layers.7.mlp.experts.113.up_proj.weight"
    (found,) = told(write(tmp_path / "m.safetensors", {name: ("BF16", array)}))
    assert "of expert 113 in layer 7" in found.message


def test_a_stacked_expert_is_named(tmp_path: Path) -> None:
    array = bf16(normal(8, 64, 256))
    array[5, 60, 3] = 0x7FC0
    name = "model.layers.2.mlp.experts.gate_up_proj"
    (found,) = told(write(tmp_path / "m.safetensors", {name: ("BF16", array)}))
    assert "of expert 5 in layer 2" in found.message


@pytest.mark.parametrize(
    ("name", "dtype", "bits", "sound", "bad", "code"),
    [
        ("q_proj.weight_scale_inv", "F32", np.float32, 1e-3, np.nan, "WL701"),
        ("q_proj.weight_scale_inv", "F32", np.float32, 1e-3, -1e-3, "WL703"),
        ("q_proj.weight_scale_2", "F32", np.float32, 1e-3, -1e-3, "WL703"),
        ("q_proj.weight_scale", "F8_E4M3", np.uint8, 0x38, 0x7F, "WL701"),
        ("experts.down_proj_scales", "U8", np.uint8, 0x70, 0xFF, "WL701"),
        ("q_proj.scales", "F16", np.float16, 1e-3, np.inf, "WL701"),
        ("q_proj.weight.absmax", "F32", np.float32, 1e-3, -1.0, "WL703"),
    ],
)
def test_scales(
    tmp_path: Path, name: str, dtype: str, bits: Any, sound: float, bad: float, code: str
) -> None:
    array = np.full((32, 64), sound, bits)
    array[::2] *= bits(1) if dtype in {"U8", "F8_E4M3"} else bits(2)
    path = tmp_path / "m.safetensors"
    assert told(write(path, {f"model.layers.3.{name}": (dtype, array)})) == []
    array[9, 9] = bad
    (found,) = told(write(path, {f"model.layers.3.{name}": (dtype, array)}))
    assert found.code == code


@pytest.mark.parametrize("name", ["model.layers.0.q_proj.scales", "model.layers.0.q_proj.biases"])
def test_scales_that_may_be_negative(tmp_path: Path, name: str) -> None:
    """MLX and AutoRound write scales of both signs (mlx/ops.cpp `quantize`; auto_round's symmetric rounding)."""
    assert told(write(tmp_path / "m.safetensors", {name: ("F16", normal(64, 64).astype(np.float16))})) == []


def test_the_eighteen_values_of_opt_175b(tmp_path: Path) -> None:
    """Metaseq #122: fp16 values of 4.5e3 to 5.2e4 among normal ones, in one layer."""
    tensors = {
        f"decoder.layers.{layer}.fc1.weight": ("F16", normal(64, 256, seed=layer).astype(np.float16))
        for layer in range(8)
    }
    tensors["decoder.layers.5.fc1.weight"][1].flat[np.arange(18) * 800] = np.linspace(4.5e3, 5.2e4, 18)
    (found,) = told(write(tmp_path / "m.safetensors", tensors))
    assert (found.code, found.place.tensors) == ("WL703", ("decoder.layers.5.fc1.weight",))


def test_an_exponent_bit(tmp_path: Path) -> None:
    tensors = layers()
    tensors[NAMED][1][3, 3] ^= 0x4000
    (found,) = told(write(tmp_path / "m.safetensors", tensors))
    assert (found.code, found.level, found.place.tensors) == ("WL703", Level.ERROR, (NAMED,))


@pytest.mark.parametrize("factor", [30.0, 300.0])
def test_real_outliers_are_silent(tmp_path: Path, factor: float) -> None:
    """Single weights far above the rest, norms that grow, biases of keys in the hundreds (Qwen2) are how models are."""
    tensors = layers()
    wild = normal(64, 256, seed=3)
    wild[1, 1] = 0.02 * factor * 4
    tensors[NAMED] = ("BF16", bf16(wild))
    for layer in range(6):
        tensors[f"model.layers.{layer}.input_layernorm.weight"] = (
            "BF16",
            bf16(np.full(512, 0.01 * 4**layer)),
        )
        bias = np.full(128, 400.0 if layer == 2 else 0.5)
        tensors[f"model.layers.{layer}.self_attn.k_proj.bias"] = ("BF16", bf16(bias))
    assert told(write(tmp_path / "m.safetensors", tensors)) == []


def test_a_tail_of_zeros(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", layers())
    data = path.read_bytes()
    path.write_bytes(data[:-50_000] + bytes(50_000))
    (found,) = told(path)
    assert (found.code, found.level, found.count) == ("WL702", Level.ERROR, 2)
    assert "to its end" in found.message
    assert found.place.tensors == ("model.layers.{4,5}.mlp.down_proj.weight",)


def test_a_tensor_of_zeros(tmp_path: Path) -> None:
    tensors = layers()
    tensors[NAMED] = ("BF16", np.zeros((64, 256), np.uint16))
    (found,) = told(write(tmp_path / "m.safetensors", tensors))
    assert (found.code, found.level, found.place.tensors) == ("WL702", Level.ERROR, (NAMED,))


def zero_bias() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    return {f"model.layers.{layer}.q_proj.bias": ("BF16", np.zeros(8192, np.uint16)) for layer in range(3)}


def padded_rows() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    rows = normal(512, 3000)
    rows[490:] = 0
    return {"model.embed_tokens.weight": ("F32", rows), "lm_head.weight": ("BF16", bf16(rows))}


def dead_neurons() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    rows = normal(64, 3000)
    rows[[3, 9, 40]] = 0
    return {NAMED: ("BF16", bf16(rows))}


def padded_columns() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    rows = normal(64, 9000)
    rows[:, 6000:] = 0
    return {NAMED: ("BF16", bf16(rows))}


def adapters() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    return {
        "base_model.model.model.layers.0.q_proj.lora_A.weight": ("F32", normal(16, 512)),
        "base_model.model.model.layers.0.q_proj.lora_B.weight": ("F32", np.zeros((512, 16), np.float32)),
    }


def zero_points() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    return {
        f"model.layers.{layer}.q_proj.{end}": ("I32", np.zeros((64, 256), np.int32))
        for layer in range(3)
        for end in ("qzeros", "weight_zero_point")
    }


def pruned() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    chance = np.random.default_rng(1)
    return {NAMED: ("BF16", bf16(normal(256, 1024) * (chance.random((256, 1024)) > 0.7)))}


def mask() -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    return {"attn_mask": ("F32", np.triu(np.full((128, 128), -np.inf, np.float32), 1))}


@pytest.mark.parametrize(
    "made", [zero_bias, padded_rows, dead_neurons, padded_columns, adapters, zero_points, pruned, mask]
)
def test_zeros_and_infinities_that_mean_something(
    tmp_path: Path, made: Callable[[], dict[str, tuple[str, np.ndarray[Any, Any]]]]
) -> None:
    assert told(write(tmp_path / "m.safetensors", made())) == []


def test_weights_beyond_float16(tmp_path: Path) -> None:
    tensors = layers()
    tensors["model.vision.std_bias"] = ("F32", np.linspace(1, 70_000, 512, dtype=np.float32))
    path = write(tmp_path / "m.safetensors", tensors)
    assert told(path) == []
    (found,) = told(path, dtype="float16")
    assert (found.code, found.place.tensors) == ("WL704", ("model.vision.std_bias",))
    assert told(path, dtype="bfloat16") == []


def test_a_layer_that_is_there_twice(tmp_path: Path) -> None:
    tensors = {**layers(), **{k.replace("down", "up"): v for k, v in layers(columns=512).items()}}
    for name in ("down", "up"):
        tensors[f"model.layers.4.mlp.{name}_proj.weight"] = tensors[f"model.layers.1.mlp.{name}_proj.weight"]
    (found,) = told(write(tmp_path / "m.safetensors", tensors))
    assert (found.code, found.level) == ("WL706", Level.WARNING)
    assert "4" in found.message
    assert set(found.place.tensors) == {
        "model.layers.{1,4}.mlp.down_proj.weight",
        "model.layers.{1,4}.mlp.up_proj.weight",
    }


def test_an_expert_that_is_there_twice_in_a_stack(tmp_path: Path) -> None:
    array = bf16(normal(8, 64, 256))
    array[6] = array[2]
    (found,) = told(
        write(tmp_path / "m.safetensors", {"model.layers.2.mlp.experts.down_proj": ("BF16", array)})
    )
    assert found.code == "WL706"
    assert "expert 6" in found.message
    assert "expert 2" in found.message


def test_equal_samples_are_not_enough(tmp_path: Path) -> None:
    one = normal(600, 1024)
    other = one.copy()
    other[300:] = normal(300, 1024, seed=8)
    tensors = {f"model.layers.{at}.up_proj.weight": ("F32", it) for at, it in enumerate((one, other))}
    assert told(write(tmp_path / "m.safetensors", tensors)) == []


def test_norms_of_ones_are_no_copies(tmp_path: Path) -> None:
    ones = {f"model.layers.{at}.mixer.weight": ("BF16", bf16(np.ones((64, 256)))) for at in range(4)}
    assert told(write(tmp_path / "m.safetensors", ones)) == []


def test_a_record_of_a_torch_archive(tmp_path: Path) -> None:
    """torch.load does not compare the CRC-32 that the archive has (hostile input T49)."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a.weight": torch.randn(64, 64), "b.weight": torch.randn(64, 64)}, path)
    assert told(path) == []
    data = bytearray(path.read_bytes())
    at = data.index(torch.load(path)["b.weight"].numpy().tobytes())
    data[at + 1000] ^= 1
    path.write_bytes(data)
    (found,) = told(path)
    assert (found.code, found.place.tensors) == ("WL705", ("b.weight",))
    assert "CRC-32" in found.message


def test_a_file_of_another_hash(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", layers())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  model.safetensors\n")
    report = api.verify(str(tmp_path))
    assert report.findings == ()
    assert any("SHA256SUMS" in note for note in report.notes)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (found,) = told(tmp_path)
    assert (found.code, found.expected) == ("WL705", digest)


class Counting(Threads):
    """Runs jobs and counts them."""

    ran: int = 0

    def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        for row in super().run(jobs, probe, told):
            type(self).ran += 1
            yield row


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "m" / f"model-{number}.safetensors", {f"x{number}.weight": ("F32", normal(64, 64))})
    kept = tmp_path / "state.json"
    Counting.ran = 0
    first = api.verify(str(tmp_path / "m"), resume=str(kept), runner=Counting())
    again = api.verify(str(tmp_path / "m"), resume=str(kept), runner=Counting())
    assert Counting.ran == 3
    assert again.findings == first.findings
    array = normal(64, 64)
    array[0, 0] = np.nan
    write(tmp_path / "m" / "model-1.safetensors", {"x1.weight": ("F32", array)})
    (found,) = api.verify(str(tmp_path / "m"), resume=str(kept), runner=Counting()).findings
    assert (Counting.ran, found.code) == (4, "WL701")


def test_a_run_that_is_broken_off_reports_what_it_saw(tmp_path: Path) -> None:
    array = normal(64, 64)
    array[0, 0] = np.nan
    write(tmp_path / "a.safetensors", {"a.weight": ("F32", array)})
    write(tmp_path / "b.safetensors", {"b.weight": ("F32", normal(64, 64))})

    class Broken(Threads):
        def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
            yield probe(min(jobs, key=lambda job: job.file), told)
            raise KeyboardInterrupt

    report = api.verify(str(tmp_path), runner=Broken(), resume=str(tmp_path / "state.json"))
    assert [it.code for it in report.findings] == ["WL701"]
    assert not report.facts.complete
    assert report.facts.checked == 1
    assert "1 of 2 files" in report.notes[0]
    whole = api.verify(str(tmp_path), resume=str(tmp_path / "state.json"))
    assert whole.facts.complete


def test_a_disk_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "m.safetensors", layers(rows=2048))
    read_into = LocalBlob.read_into

    def failing(self: LocalBlob, buffer: memoryview, start: int) -> int:
        if start <= 2_000_000 < start + len(buffer):
            raise OSError(errno.EIO, "Input/output error")
        return read_into(self, buffer, start)

    monkeypatch.setattr(LocalBlob, "read_into", failing)
    report = api.verify(str(path))
    (found,) = report.findings
    assert found.place.files == ("m.safetensors",)
    assert "Input/output error" in found.message
    assert report.exit_code() == 1


def test_a_file_that_shrinks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "m.safetensors", layers(rows=2048))
    read_into = LocalBlob.read_into

    def shrinking(self: LocalBlob, buffer: memoryview, start: int) -> int:
        return min(read_into(self, buffer, start), max(0, 1_500_000 - start))

    monkeypatch.setattr(LocalBlob, "read_into", shrinking)
    (found,) = told(path)
    assert "1,500,000" in found.message or "ends" in found.message


def test_each_byte_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "m.safetensors", layers(rows=2048))
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  m.safetensors\n")
    read: list[tuple[int, int]] = []
    read_into = LocalBlob.read_into

    def counting(self: LocalBlob, buffer: memoryview, start: int) -> int:
        read.append((start, start + len(buffer)))
        return read_into(self, buffer, start)

    monkeypatch.setattr(LocalBlob, "read_into", counting)
    assert api.verify(str(tmp_path)).findings == ()
    places = sorted(it for it in read if it[1] - it[0] > 100 or it[0])
    tensors = [it for it in places if it[1] <= path.stat().st_size]
    assert sum(high - low for low, high in tensors) <= path.stat().st_size + 200


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", layers())
    total: list[int] = []
    seen: list[int] = []
    api.verify(str(path), ears=Ears(begun=total.append, read=seen.append))
    assert sum(seen) == total[0] == path.stat().st_size


def test_real_files_of_fixtures_are_silent() -> None:
    for path in (FIXTURES / "torch" / "zip.bin", FIXTURES / "torch" / "legacy.bin"):
        assert told(path) == []
    assert told(FIXTURES / "quantised" / "ggml.gguf") == []


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_the_command_line(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", layers())
    listed = tmp_path / "listed.json"
    assert run("manifest", str(path), "-o", str(listed)).exit_code == 0
    assert run("verify", str(path), "--manifest", str(listed)).exit_code == 0
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    result = run("verify", str(path), "--manifest", str(listed), "--format", "json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["findings"]
    assert found["tensors"] == ["model.layers.5.mlp.down_proj.weight"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--manifest", "config.json"], "no manifest of weightlint"),
        (["--manifest", "absent.json"], "No such file"),
        (["--part", "9/8", "--output", "x"], "3/8"),
        (["--runner", "thread"], "nearest: threads"),
        (["--cache", "--resume", "x"], "keep one"),
    ],
)
def test_wrong_usage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    write(tmp_path / "m.safetensors", layers())
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    result = run("verify", ".", *words)
    assert result.exit_code == 2
    assert why in result.stderr


def test_a_snapshot_has_no_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", layers())
    api.snapshot(str(path), str(tmp_path / "s.json"))
    result = run("verify", str(tmp_path / "s.json"))
    assert result.exit_code == 2
    assert "bytes" in result.stderr


def scaled(
    layer: int, factor: float, count: int = 12, families: int = 5
) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """Return families of weights that shrink over depth, one layer of all of them scaled."""
    return {
        f"model.layers.{at}.mlp.w{which}.weight": (
            "BF16",
            bf16(normal(64, 256, seed=at * 10 + which) * 0.93**at * (factor if at == layer else 1)),
        )
        for at in range(count)
        for which in range(families)
    }


@pytest.mark.parametrize(
    ("factor", "far"), [(5.0, True), (0.2, True), (2.0, False), (0.5, False), (1.0, False)]
)
def test_a_layer_out_of_line(tmp_path: Path, factor: float, *, far: bool) -> None:
    """Between sound layers of published models there is less than a factor of two."""
    found = told(write(tmp_path / "m.safetensors", scaled(7, factor)))
    assert [(it.code, it.level, it.count) for it in found] == [("WL703", Level.WARNING, 5)] * far
    assert all("layer 7 is out of line" in it.message for it in found)


def test_one_family_out_of_line(tmp_path: Path) -> None:
    tensors = scaled(99, 1)
    name = "model.layers.5.mlp.w2.weight"
    tensors[name] = ("BF16", bf16(normal(64, 256, seed=1) * 40))
    (found,) = told(write(tmp_path / "m.safetensors", tensors))
    assert (found.code, found.level, found.place.tensors) == ("WL703", Level.WARNING, (name,))


@pytest.mark.parametrize("layer", [0, 1, 11])
def test_ends_of_a_model_may_be_other(tmp_path: Path, layer: int) -> None:
    tensors = scaled(99, 1)
    tensors[f"model.layers.{layer}.mlp.w2.weight"] = ("BF16", bf16(normal(64, 256, seed=1) * 40))
    assert told(write(tmp_path / "m.safetensors", tensors)) == []


def test_scales_of_zero(tmp_path: Path) -> None:
    tensors: dict[str, tuple[str, np.ndarray[Any, Any]]] = {}
    for layer in range(3):
        name = f"model.layers.{layer}.self_attn.o_proj.weight"
        tensors[name] = ("F8_E4M3", np.full((64, 64), 0x39 + layer, np.uint8))
        tensors[f"{name}_scale_inv"] = ("F32", np.full((4, 4), 0.0 if layer == 1 else 0.01, np.float32))
    (found,) = told(write(tmp_path / "m.safetensors", tensors))
    assert (found.code, found.place.tensors) == (
        "WL702",
        ("model.layers.1.self_attn.o_proj.weight_scale_inv",),
    )

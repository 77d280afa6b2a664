"""Time `weightlint inspect` of a GGUF header beside the gguf package's GGUFReader, in one run.

    python benchmarks/gguf_header.py [--rounds 5]

The file has the 1,086 tensors of DeepSeek-V3 in the layout with `attn_k_b` and `attn_v_b`, and a vocabulary
of 129,280 tokens with types and 127,741 merges; a second one ten times that vocabulary, to show that
memory does not grow with it (GGUFReader, which would take 4 GB for it, reads the first only). Data are
sparse. Whole processes, run in turn so that a busy machine slows all of them; medians and ratios.
GGUFReader reads and keeps every token; `inspect` passes over them.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import tempfile
from math import prod
from pathlib import Path

from timing import compare

TOKENS = 129_280
PEER = "import sys; from gguf import GGUFReader; GGUFReader(sys.argv[1])"
BARE = "import click"
BLOCK = {
    # name, dimensions innermost first, type: 2 is Q4_0, 0 is F32
    "attn_norm.weight": ((7168,), 0),
    "attn_q_a.weight": ((7168, 1536), 2),
    "attn_q_a_norm.weight": ((1536,), 0),
    "attn_q_b.weight": ((1536, 24576), 2),
    "attn_kv_a_mqa.weight": ((7168, 576), 2),
    "attn_kv_a_norm.weight": ((512,), 0),
    "attn_k_b.weight": ((128, 512, 128), 2),
    "attn_v_b.weight": ((512, 128, 128), 2),
    "attn_output.weight": ((16384, 7168), 2),
    "ffn_norm.weight": ((7168,), 0),
}
DENSE = {
    "ffn_gate.weight": ((7168, 18432), 2),
    "ffn_up.weight": ((7168, 18432), 2),
    "ffn_down.weight": ((18432, 7168), 2),
}
SPARSE = {
    "ffn_gate_inp.weight": ((7168, 256), 0),
    "exp_probs_b.bias": ((256,), 0),
    "ffn_gate_exps.weight": ((7168, 2048, 256), 2),
    "ffn_up_exps.weight": ((7168, 2048, 256), 2),
    "ffn_down_exps.weight": ((2048, 7168, 256), 2),
    "ffn_gate_shexp.weight": ((7168, 2048), 2),
    "ffn_up_shexp.weight": ((7168, 2048), 2),
    "ffn_down_shexp.weight": ((2048, 7168), 2),
}
ENDS = {
    "token_embd.weight": ((7168, TOKENS), 2),
    "output_norm.weight": ((7168,), 0),
    "output.weight": ((7168, TOKENS), 2),
}

Dims = tuple[int, ...]


def text(raw: str) -> bytes:
    """Return a text as GGUF writes it."""
    return struct.pack("<Q", len(raw)) + raw.encode()


def texts(key: str, items: list[str]) -> bytes:
    """Return a key with an array of texts."""
    return text(key) + struct.pack("<IIQ", 9, 8, len(items)) + b"".join(map(text, items))


def tensors() -> dict[str, tuple[Dims, int]]:
    """Return all tensors in the order of the file."""
    table = dict(ENDS)
    for layer in range(61):
        block = BLOCK | (DENSE if layer < 3 else SPARSE)
        table |= {f"blk.{layer}.{name}": it for name, it in block.items()}
    return table


def write(path: Path, vocabulary: int) -> int:
    """Write the header and leave the data a hole; return the bytes of the header."""
    tokens = [f"token{number:x}"[: 3 + number % 9] for number in range(vocabulary)]
    merges = [f"{token} x" for token in tokens[: vocabulary - 1539]]
    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("deepseek2"),
        text("deepseek2.block_count") + struct.pack("<II", 4, 61),
        texts("tokenizer.ggml.tokens", tokens),
        text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, vocabulary) + bytes(4 * vocabulary),
        texts("tokenizer.ggml.merges", merges),
    ]
    at, entries = 0, []
    for name, (dims, type_) in tensors().items():
        shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
        entries.append(text(name) + shape + struct.pack("<IQ", type_, at))
        at += prod(dims) * 18 // 32 if type_ else prod(dims) * 4
    head = b"GGUF" + struct.pack("<IQQ", 3, len(entries), len(keys)) + b"".join(keys + entries)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + -len(head) % 32 + at)
    return len(head)


def readings(path: Path, rounds: int, *, with_peer: bool) -> None:
    """Compare inspect and check with the peer."""
    argvs = {
        "weightlint inspect": [sys.executable, "-m", "weightlint", "inspect", str(path)],
        "weightlint check": [sys.executable, "-m", "weightlint", "check", "--no-settings", str(path)],
        "gguf.GGUFReader": [sys.executable, "-c", PEER, str(path)],
        "python and click alone": [sys.executable, "-c", BARE],
    }
    if not with_peer:
        del argvs["gguf.GGUFReader"]
    compare(argvs, rounds, base="weightlint inspect")


def main() -> None:
    """Write both files in a process of their own and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", nargs=2, metavar=("FILE", "TOKENS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write:
        print(write(Path(asked.write[0]), int(asked.write[1])))
        return
    with tempfile.TemporaryDirectory() as work:
        for vocabulary in (TOKENS, 10 * TOKENS):
            path = Path(work) / f"{vocabulary}.gguf"
            # the peak memory of a child counts from what its parent held when it was forked
            argv = [sys.executable, __file__, "--write", str(path), str(vocabulary)]
            size = int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
            print(
                f"\n{vocabulary:,} tokens, {len(tensors()):,} tensors, {size:,} bytes of header, {os.cpu_count()} cores"
            )
            readings(path, asked.rounds, with_peer=vocabulary == TOKENS)


if __name__ == "__main__":
    main()

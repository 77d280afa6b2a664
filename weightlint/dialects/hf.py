"""Hugging Face names: those of transformers' classes, in which the schemas are written."""

from __future__ import annotations

from weightlint.dialect import Dialect

DIALECT = Dialect(
    name="hf",
    title="transformers",
    cure="nothing to do",
    home=("*",),
)

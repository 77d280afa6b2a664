"""Ranges of versions: numbers are compared as the packaging library compares them, and everything else by it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from weightlint.errors import UsageError
from weightlint.version import within

NUMBERS = st.lists(st.integers(0, 11), min_size=1, max_size=4).map(lambda it: ".".join(map(str, it)))
TAILS = st.sampled_from(["", "", "", "a1", "rc2", ".dev3", ".post5", "+pr16383", "+cpu", "+cu126", "+pr016"])
VERSIONS = st.builds(str.__add__, NUMBERS, TAILS)
CLAUSES = st.builds(str.__add__, st.sampled_from([">=", "<=", "==", "!=", "<", ">", "~="]), VERSIONS)
SPANS = st.lists(CLAUSES, max_size=3).map(", ".join)


@settings(max_examples=500)
@given(VERSIONS, SPANS)
def test_a_range_holds_what_packaging_says(version: str, span: str) -> None:
    try:
        wanted = SpecifierSet(span).contains(Version(version), prereleases=True)
    except InvalidSpecifier:
        with pytest.raises(InvalidSpecifier):
            within(version, span)
        return
    assert within(version, span) == wanted


def test_what_is_no_version_is_refused_with_an_example() -> None:
    with pytest.raises(UsageError, match=r"'new' is no version; write it as in `pip show`"):
        within("new", ">=1")


def test_plain_numbers_need_no_packaging() -> None:
    code = (
        "import sys\n"
        "from weightlint.version import within\n"
        "assert within('0.8.4+pr16383', '>=0.8.4,<0.9,!=0.8.4.0+pr9')\n"
        "sys.exit('packaging' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The page of a report: well formed, complete, and closed to whatever stands in a checkpoint."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest

from weightlint.finding import Facts, Finding, Level, Place, Report, Skip
from weightlint.outputs.html import MAX_FINDINGS, MAX_NAMES, OUTPUT
from weightlint.profile import Line, Profile

VOID = {"meta", "br", "hr", "img", "link", "input"}
EVIL = "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;\u202e\x1b\n{{x}}"
"""What closes every element and attribute, turns the direction and breaks the line."""


class Page(HTMLParser):
    """A page taken apart: elements with their attributes and text; fails where an element is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), attrs
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag: str, of: str = "") -> list[dict[str, str]]:
        """Return the attributes of all elements of a name, and of a class if one is given."""
        return [
            kept
            for name, kept in self.found
            if name == tag and (not of or of in kept.get("class", "").split())
        ]

    def text(self, tag: str) -> str:
        """Return the text that stands in the elements of a name."""
        return "".join(self.texts.get(tag, []))


def finding(message: str = "2 NaN", *, code: str = "WL701", **more: str) -> Finding:
    where = more.get("place", "model.layers.9.mlp.up_proj.weight")
    return Finding(
        code=code,
        rule=more.get("rule", "non-finite"),
        level=Level.ERROR,
        message=message,
        place=Place(tensors=(where,), files=(more.get("file", "m.safetensors"),), ranks=()),
        expected=more.get("expected", "numbers"),
        found=more.get("found", "NaN"),
        cure=more.get("cure", "download it again"),
    )


def profile(
    layers: int = 12, families: int = 3, *, name: str = "mlp.up_proj", stack: str = "model.layers"
) -> Profile:
    """Return a profile in which layer 9 of the first family is 64 times too large and has a finding."""
    lines = [
        Line(
            f"{stack}.*.{name}{at}.weight BF16",
            tuple(None if at == 1 and layer < 3 else 0.5 for layer in range(layers)),
            tuple(
                None if at == 1 and layer < 3 else (1.28 if at == 0 and layer == 9 else 0.02)
                for layer in range(layers)
            ),
            tuple(("WL701", "WL703") if at == 0 and layer == 9 else () for layer in range(layers)),
        )
        for at in range(families)
    ]
    beside = Line(f"{name}.head.weight F32", (3.5,), (0.25,), ((),))
    return Profile(tuple(range(layers)), tuple(lines), (beside,))


def report(*findings: Finding, target: str = "DeepSeek-V3", drawn: Profile | None = None) -> Report:
    facts = Facts(target=target, arch="deepseek_v3", tensors=37, checked=37, files=2, bytes=10**6, read=True)
    return Report(
        findings=findings,
        skips=(Skip("WL705", "no hash is known"),),
        facts=facts,
        version="0.1.0",
        notes=("interrupted",),
        profile=drawn,
    )


def written(made: Report) -> str:
    stream = io.StringIO()
    OUTPUT(made, stream)
    return stream.getvalue()


def test_a_finding_is_told_whole() -> None:
    text = written(report(finding(), drawn=profile()))
    page = Page(text)
    (article,) = page.all("article")
    assert article["class"] == "error"
    for told in (
        "2 NaN",
        "model.layers.9.mlp.up_proj.weight",
        "m.safetensors",
        "numbers",
        "download it again",
    ):
        assert f">{told}<" in text
    assert page.text("h1") == "DeepSeek-V3"
    assert "1 error; 37 of 37 tensors read in 2 files, 1.0 MB" in page.text("p")
    assert "interrupted" in page.text("p")
    assert "no hash is known" in page.text("dd")


@pytest.mark.parametrize(("layers", "families"), [(1, 1), (12, 3), (61, 30), (200, 4)])
def test_a_cell_for_each_layer_of_each_family(layers: int, families: int) -> None:
    page = Page(written(report(drawn=profile(layers, families))))
    assert len(page.all("td", "cell")) == layers * families
    columns = page.all("th", "layer")
    assert [column["data-layer"] for column in columns] == [str(layer) for layer in range(layers)]
    assert len([row for row in page.all("th") if row.get("scope") == "row" and "title" in row]) == families


def test_cells_with_findings_are_marked_with_their_code() -> None:
    page = Page(written(report(drawn=profile())))
    (marked,) = page.all("td", "found")
    assert marked["data-code"] == "701+"
    assert marked["title"].startswith(
        "layer 9, mlp.up_proj0.weight BF16: WL701, WL703, RMS 1.28 (64\u00d7 the usual 0.02)"
    )
    assert {"high6", "far", "up"} <= {*marked["class"].split()}
    assert [column["data-layer"] for column in page.all("th", "found")] == ["9"]


def test_a_layer_without_the_family_is_no_colour() -> None:
    page = Page(written(report(drawn=profile())))
    assert [cell["title"].split(":")[0] for cell in page.all("td", "none")] == [
        f"layer {layer}, mlp.up_proj1.weight BF16" for layer in range(3)
    ]


def test_families_beside_the_layers_have_their_numbers() -> None:
    text = written(report(drawn=profile()))
    assert re.search(
        r"mlp\.up_proj\.head\.weight</th><td>F32</td><td class=number>0\.25</td><td class=number>3\.5<", text
    )


def test_families_of_two_stacks_are_told_apart() -> None:
    """Each group has a head of its own, and what is worth a look is named in full."""
    bad = profile().lines[0]
    seen = Line("visual.blocks.*.attn.qkv.weight BF16", bad.absmax, bad.rms, bad.codes)
    text = written(report(drawn=Profile(profile().layers, (bad, seen))))
    assert len([head for head in Page(text).all("th", "group") if head["scope"] == "rowgroup"]) == 2
    assert "<th scope=row>visual.blocks.*.attn.qkv.weight BF16</th>" in text


def test_nothing_of_a_hostile_checkpoint_becomes_html() -> None:
    texts = dict.fromkeys(("place", "file", "rule", "expected", "found", "cure"), EVIL)
    made = report(finding(EVIL, **texts), target=EVIL, drawn=profile(name=EVIL, stack=EVIL))
    text = written(made)
    page, tame = Page(text), Page(written(report(finding(), drawn=profile())))
    assert [tag for tag, _ in page.found] == [tag for tag, _ in tame.found]
    assert [sorted(kept) for _, kept in page.found] == [sorted(kept) for _, kept in tame.found]
    assert {char for char in text if not char.isprintable()} == {"\n"}
    assert page.text("h1") == EVIL.replace("\u202e", r"\u202e").replace("\x1b", r"\x1b").replace("\n", r"\n")


@pytest.mark.parametrize(
    "made", [report(), report(finding(), drawn=profile()), report(target="https://x.org/m")]
)
def test_a_page_asks_for_nothing(made: Report) -> None:
    """No script, no address, nothing that is fetched; and it forbids that to itself."""
    page = Page(written(made))
    tags = {tag for tag, _ in page.found}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base", "a"})
    names = {name for _, kept in page.found for name in kept}
    assert names.isdisjoint({"src", "href", "action", "data", "poster"})
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in page.text("style")
    assert "@import" not in page.text("style")
    (policy,) = [kept["content"] for kept in page.all("meta") if kept.get("http-equiv")]
    assert policy.startswith("default-src 'none'")


def test_every_shade_of_a_cell_has_a_colour() -> None:
    page = Page(written(report(drawn=profile())))
    style = page.text("style")
    assert all(f".{side}{at} {{" in style for side in ("low", "high") for at in range(1, 7))
    assert "prefers-color-scheme: dark" in style


def test_a_report_on_headers_has_findings_and_no_map() -> None:
    made = Report(
        findings=(finding(),), skips=(), facts=Facts(target="x", tensors=3, checked=3), version="0.1.0"
    )
    page = Page(written(made))
    assert len(page.all("article")) == 1
    assert page.all("table") == []
    assert "weightlint 0.1.0 check" in page.text("p")


def test_a_page_stays_small_whatever_is_wrong() -> None:
    names = tuple(f"layers.{at}.w" for at in range(10_000))
    many = Finding(
        code="WL701", rule="r", level=Level.ERROR, message="m", place=Place(tensors=names), cure="c"
    )
    text = written(report(many, *[finding()] * (MAX_FINDINGS + 4)))
    page = Page(text)
    assert len(page.all("article")) == MAX_FINDINGS
    assert page.text("p").count("and 5 more findings (--format json lists all)") == 1
    assert f"and {10_000 - MAX_NAMES:,} more patterns (--format json lists all)" in page.text("li")


def test_what_was_not_checked_is_not_called_clean() -> None:
    made = Report(findings=(), skips=(), facts=Facts(target="x", read=True, complete=False), version="0.1.0")
    text = written(made)
    assert 'class="verdict warning"' in text
    assert "no findings" not in text

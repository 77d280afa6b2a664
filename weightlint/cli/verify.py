"""`weightlint verify`: options, the API, the report in its formats, the exit code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from weightlint.cli._choices import complete_format, complete_rule

if TYPE_CHECKING:
    from weightlint.probe import Runner

EPILOG = """\b
Exit codes:
  0  clean: all bytes were read
  1  findings at or above --fail-on
  2  wrong usage, or weightlint itself failed
  3  nothing could be read, or not all of it

\b
Hashes are looked for where downloads leave them: names of Hugging Face blobs, .cache/huggingface, git-LFS
pointers, SHA256SUMS and the like. Torch archives carry CRC-32 of their own. What is known of nothing is
looked at for its values alone; `weightlint manifest` writes down what is sound today."""


@click.command("verify", epilog=EPILOG, short_help="Read the bytes: hashes, NaN, broken scales, zeros.")
@click.argument("target", metavar="PATH")
@click.option(
    "--against", multiple=True, metavar="FILE", help="What says the hashes of the files; may be given again."
)
@click.option("--manifest", metavar="FILE", help="A manifest of ours: tells which tensors and bytes differ.")
@click.option("--values/--no-values", default=True, help="Look at the numbers, or compare hashes only.")
@click.option(
    "--dtype", metavar="NAME", help="The dtype it will run in: float16 asks whether weights overflow."
)
@click.option("--runner", metavar="NAME", help="Who does the work: see `weightlint list runners`.")
@click.option(
    "--threads", type=click.IntRange(1), metavar="N", help="Threads; one for each core if not given."
)
@click.option("--resume", metavar="FILE", help="Keep results here, and begin with what is there already.")
@click.option(
    "--cache", is_flag=True, help="Keep results for the next time: unchanged files are not read again."
)
@click.option("--part", metavar="I/N", help="Read one of N parts and write what was seen to --output.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT[=FILE]",
    shell_complete=complete_format,
    help="Output format, text if none is given: see `weightlint list outputs`.",
)
@click.option("--output", metavar="FILE", help="File of the last format, or of the part.")
@click.option(
    "--plot", metavar="FILE", help="Draw layers and tensors as a heat map: a .png, .svg or .pdf file."
)
@click.option(
    "--select", multiple=True, metavar="RULE,...", shell_complete=complete_rule, help="Run these rules only."
)
@click.option(
    "--ignore", multiple=True, metavar="RULE,...", shell_complete=complete_rule, help="Leave these rules out."
)
@click.option(
    "--fail-on",
    type=click.Choice(("info", "warning", "error")),
    default="error",
    help="Lowest level that gives exit code 1; error if none is given.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def verify(
    target: str, *, part: str | None, cache: bool, resume: str | None, quiet: bool, **given: Any
) -> int:
    """Tell whether the bytes of a checkpoint are right.

    PATH is a folder or a tensor file. Every byte is read once: hashes are compared, numbers looked at.
    """
    from weightlint.cli._progress import ears
    from weightlint.errors import UsageError
    from weightlint.verifying.cache import place

    if cache and resume:
        message = "--cache and --resume both say where results are kept; keep one"
        raise UsageError(message)
    options = {key: given[key] for key in ("against", "manifest", "values")}
    options["runner"] = _runner(given["runner"], given["threads"])
    with ears(quiet=quiet) as listening:
        if part is not None:
            _no_picture(given["plot"])
            return _part(target, part, given["output"], options | {"ears": listening})
        kept = str(place(target)) if cache else resume
        return _whole(target, options | {"ears": listening, "resume": kept}, given)


def _whole(target: str, options: dict[str, Any], given: dict[str, Any]) -> int:
    from weightlint import api
    from weightlint.cli._choices import selectors
    from weightlint.cli._reports import destinations, write
    from weightlint.finding import Level

    places = destinations(given["formats"] or ("text",), given["output"])
    _can_plot(given["plot"], values=options["values"])
    report = api.verify(
        target,
        select=selectors(given["select"]),
        ignore=selectors(given["ignore"]),
        dtype=given["dtype"],
        **options,
    )
    write(report, places)
    if given["plot"]:
        from weightlint.verifying.plot import plot

        plot(report, given["plot"])
    return report.exit_code(Level[given["fail_on"].upper()])


def _can_plot(file: str | None, *, values: bool) -> None:
    """Refuse a picture that cannot be drawn before anything is read."""
    from weightlint.errors import UsageError
    from weightlint.verifying.plot import check_path

    if file is None:
        return
    if not values:
        message = "--plot draws numbers, and --no-values looks at none; leave one out"
        raise UsageError(message)
    check_path(file)


def _no_picture(file: str | None) -> None:
    from weightlint.errors import UsageError

    if file is not None:
        message = "--plot needs all parts; leave it out here and give `weightlint merge` --format html=FILE"
        raise UsageError(message)


def _part(target: str, part: str, output: str | None, options: dict[str, Any]) -> int:
    from weightlint import api
    from weightlint.errors import UsageError

    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", part)
    if not found or not 0 < int(found[1]) <= int(found[2]):
        message = f"--part {part}: not a part such as 3/8, the third of eight"
        raise UsageError(message)
    if output is None:
        message = f"--part {part} writes what it saw: say where with --output part{found[1]}.json"
        raise UsageError(message)
    tally = api.verify_part(target, int(found[1]), int(found[2]), output, **options)
    read = sum(row.read for row in tally.rows.values())
    click.echo(f"{output}: {len(tally.rows):,} of {len(tally.jobs):,} jobs, {read:,} bytes read")
    return 0


def _runner(name: str | None, threads: int | None) -> Runner:
    from dataclasses import replace

    from weightlint.cli._choices import RUNNERS
    from weightlint.errors import UsageError, nearest
    from weightlint.runners.threads import Threads

    chosen = name or "threads"
    if chosen not in RUNNERS:
        message = (
            f"--runner {chosen}: no such runner{nearest(chosen, RUNNERS)}; there are {', '.join(RUNNERS)}"
        )
        raise UsageError(message)
    runner = RUNNERS[chosen]
    return replace(runner, workers=threads) if isinstance(runner, Threads) else runner


COMMAND = verify

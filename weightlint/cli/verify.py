"""`weightlint verify`: options, the API, the report in its formats, the exit code."""

from __future__ import annotations

from typing import Any

import click

from weightlint.cli._choices import complete_format, complete_rule
from weightlint.cli._runners import chosen, runner_options

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
@runner_options
@click.option("--resume", metavar="FILE", help="Keep results here, and begin with what is there already.")
@click.option(
    "--cache", is_flag=True, help="Keep results for the next time: unchanged files are not read again."
)
@click.option(
    "--every-node",
    is_flag=True,
    help="With --runner ray: compare the copies that the nodes have on their own disks under PATH, in which $NAME (in quotes) "
    "is a variable of each node. Begin it on a node that has a copy; a shared file system would be read once by each node.",
)
@click.option(
    "--part",
    metavar="I/N|auto",
    help="Read one of N parts and write what was seen to --output, part-I-of-N.json if not given; auto takes I and N from "
    "srun, torchrun or mpirun, auto/N takes I from an indexed Job. `weightlint merge` puts parts together.",
)
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

    PATH is a folder or a tensor file, or the address of one (hf://org/model, s3://, gs://, https://).
    Every byte is read once: hashes are compared, numbers looked at.
    """
    from weightlint.cli._progress import ears
    from weightlint.errors import UsageError
    from weightlint.verifying.cache import place

    if cache and resume:
        message = "--cache and --resume both say where results are kept; keep one"
        raise UsageError(message)
    if given["every_node"] and (cache or resume or part):
        message = (
            "--every-node reads all of every copy each time: it goes without --part, --resume and --cache"
        )
        raise UsageError(message)
    options = {key: given[key] for key in ("against", "manifest", "values")}
    options["runner"] = chosen(given)
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
        every_node=given["every_node"],
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


def _part(target: str, text: str, output: str | None, options: dict[str, Any]) -> int:
    import os

    from weightlint import api
    from weightlint.finding import printable
    from weightlint.verifying.launcher import part_of
    from weightlint.verifying.tally import part

    number, of = part_of(text, os.environ)
    place = output or f"part-{number}-of-{of}.json"
    tally = api.verify_part(target, number, of, place, **options)
    mine = [job.key for job in part(tally.jobs.values(), number, of)]
    done = [tally.rows[key] for key in mine if key in tally.rows]
    read = sum(row.read for row in done)
    click.echo(f"{printable(place)}: {len(done):,} of {len(mine):,} jobs, {read:,} bytes read")
    return 0 if len(done) == len(mine) else 3


COMMAND = verify

"""``lookalike label``: call all images of a cluster by a name, knowing how wrong that is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery, split_ids
from lookalike.cli.output import print_json, say
from lookalike.display import display_text
from lookalike.errors import SettingError

if TYPE_CHECKING:
    from lookalike.cluster_results import LabelReport
    from lookalike.gallery import Gallery


@click.command()
@click.argument("number", metavar="CLUSTER", type=int)
@click.argument("text", metavar="TEXT")
@gallery_option
@click.option(
    "--inspected", type=click.IntRange(min=0), help="So many of its sample were looked at, from the first on."
)
@click.option("--wrong-ids", default="", metavar="ID,...", help="Those among them that are something else.")
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
@click.option("--target", default=0.05, show_default=True, help="Share of wrong labels to strive for.")
@click.option("--force", is_flag=True, help="Label it although more than a fifth of the sample is wrong.")
@click.option("--by", help="Who says so; default: the name of the account.")
@json_option
def label(
    number: int,
    text: str,
    gallery: Path | None,
    inspected: int | None,
    wrong_ids: str,
    seed: int,
    target: float,
    force: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Label all images of CLUSTER as TEXT, after looking at a sample of it.

    On a terminal it shows what to look at and asks; elsewhere say it with --inspected and --wrong-ids.
    """
    with open_gallery(gallery) as opened:
        wrong = split_ids(wrong_ids)
        if inspected is None:
            inspected, wrong = _ask(opened, number, seed, target)
        report = opened.label_cluster(
            number, text, inspected=inspected, wrong=wrong, seed=seed, by=by, target=target, force=force
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    if report.failed:
        sys.exit(1)


def _ask(gallery: Gallery, number: int, seed: int, target: float) -> tuple[int, list[str]]:
    """Show a sample and ask what of it is wrong."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SettingError(
            f"cluster {number} was not inspected",
            hint=f"look at a sample: lookalike cluster show {number} --html FILE; then give --inspected N",
        )
    detail = gallery.cluster_detail(number, seed=seed, target=target)
    page = gallery.path / "cache" / f"inspect-{number}.html"
    gallery.write_cluster_sheet(detail, html=page)
    for place, image in enumerate(detail.sample, start=1):
        click.echo(f"{place:>4}  {display_text(str(image.path))}", err=True)
    say(f"look at these {len(detail.sample)} images; all on one page: {page}")
    looked = click.prompt("how many have you looked at", default=len(detail.sample), type=int, err=True)
    answer = click.prompt(
        "numbers of those that are something else (Enter: none)", default="", show_default=False, err=True
    )
    try:
        places = [int(part) for part in answer.replace(",", " ").split()]
        return looked, [detail.sample[place - 1].id for place in places if place > 0]
    except (ValueError, IndexError) as error:
        raise SettingError(f"{answer!r} are not numbers of that list") from error


def _print(report: LabelReport) -> None:
    if report.failed:
        say(
            f"{len(report.wrong)} of {report.inspected} are something else: cluster {report.cluster} is mixed,"
            " so it was not labelled"
        )
        say(f"split it: lookalike cluster split {report.cluster}; or label it all the same with --force")
        return
    say(f"labelled {report.labelled:,} images {report.label!r} (batch {report.batch})")
    if report.wrong:
        say(f"{len(report.wrong)} wrong ones left the cluster; label them with: lookalike labels set TEXT ID...")
    say(f"at most {100 * report.bound:.1f} % of these labels are wrong (95 % confidence, {report.inspected} looked at)")
    if report.more_looks:
        say(f"{report.more_looks} more looks without a wrong one would make that {100 * report.target:g} %")

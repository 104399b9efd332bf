"""``lookalike cluster``: sort the gallery, look at clusters, change them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, print_json, print_table, say
from lookalike.display import display_text

if TYPE_CHECKING:
    from lookalike.cluster_results import ClusterDetail, Clustering
    from lookalike.gallery import Gallery

html_option = click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page of pictures.")
png_option = click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Write one picture of them.")


@click.group(invoke_without_command=True)
@gallery_option
@click.option(
    "--granularity", default=None, metavar="N|auto", help="How many clusters; auto: as many as suggest themselves."
)
@click.option("--method", type=click.Choice(["ward"]), default="ward", show_default=True, help="How to sort.")
@click.option("--again", is_flag=True, help="Sort anew, with all that the gallery holds now.")
@click.option("--unassigned", is_flag=True, help="List the images that are in no cluster.")
@html_option
@png_option
@json_option
@click.pass_context
def cluster(
    ctx: click.Context,
    gallery: Path | None,
    granularity: str | None,
    method: str,  # noqa: ARG001 - there is one so far; the name is there for scripts
    again: bool,
    unassigned: bool,
    html: Path | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """Sort the gallery into clusters, or list those that it has.

    Without options, an unsorted gallery is sorted, and a sorted one is listed.
    """
    ctx.obj = gallery
    if ctx.invoked_subcommand is not None:
        return
    with open_gallery(gallery) as opened:
        if unassigned:
            _print_unassigned([record.path for record in opened.unassigned()], as_json=as_json)
            return
        if granularity is not None or again or not opened.is_sorted():
            with ProgressBar() as bar:
                found = opened.cluster(_count(granularity), again=again, progress=bar)
        else:
            found = opened.clusters()
        _write(opened, found, html, png)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


@cluster.command("show")
@click.argument("number", metavar="ID", type=int)
@gallery_option
@click.option("--sample", type=click.IntRange(min=0), help="How many to draw; default: as many as the target needs.")
@click.option("--seed", default=0, show_default=True, help="Of the draw.")
@click.option("--target", default=0.05, show_default=True, help="Share of wrong labels to strive for.")
@html_option
@png_option
@json_option
def show(
    number: int,
    gallery: Path | None,
    sample: int | None,
    seed: int,
    target: float,
    html: Path | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """Look at cluster ID: typical and unusual images, and a sample to inspect before labelling it."""
    with open_gallery(gallery) as opened:
        detail = opened.cluster_detail(number, sample=sample, seed=seed, target=target)
        _write(opened, detail, html, png)
    if as_json:
        print_json(detail.to_dict())
    else:
        _print_detail(detail)


@cluster.command("split")
@click.argument("number", metavar="ID", type=int)
@gallery_option
@json_option
def split(number: int, gallery: Path | None, as_json: bool) -> None:
    """Split cluster ID in two; the larger part keeps its id."""
    with open_gallery(gallery) as opened:
        ids = opened.split_cluster(number)
        sizes = {view.id: view.size for view in opened.clusters().clusters}
    if as_json:
        print_json({"clusters": [{"id": number, "size": sizes.get(number, 0)} for number in ids]})
    else:
        say(f"split cluster {number} into " + " and ".join(f"{i} ({sizes.get(i, 0):,} images)" for i in ids))


@cluster.command("merge")
@click.argument("numbers", metavar="ID ID...", type=int, nargs=-1, required=True)
@gallery_option
@json_option
def merge(numbers: tuple[int, ...], gallery: Path | None, as_json: bool) -> None:
    """Make one cluster of several; it keeps the id of the largest."""
    with open_gallery(gallery) as opened:
        number = opened.merge_clusters(*numbers)
        size = {view.id: view.size for view in opened.clusters().clusters}[number]
    if as_json:
        print_json({"id": number, "size": size})
    else:
        say(f"clusters {', '.join(map(str, numbers))} are cluster {number} now, with {size:,} images")


def _count(text: str | None) -> int | None:
    if text is None or text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"{text!r} is neither a number of clusters nor auto", param_hint="--granularity")
    return int(text)


def _write(gallery: Gallery, shown: Clustering | ClusterDetail, html: Path | None, png: Path | None) -> None:
    gallery.write_cluster_sheet(shown, html=html, png=png)
    for file in (html, png):
        if file is not None:
            say(f"wrote {file}")


def _print(found: Clustering) -> None:
    rows = [
        (v.id, f"{v.size:,}", f"{v.cohesion:.3f}", v.label or "", v.n_strangers or "", v.exemplars[0].path)
        for v in found.clusters
    ]
    columns = ("cluster", "images", "cohesion", "label", "strangers", "typical")
    print_table(columns, rows, right=("cluster", "images", "cohesion", "strangers"))
    say(f"{len(found.clusters)} clusters, {found.n_unassigned:,} of {found.n_images:,} images unassigned")
    if found.asked is not None:
        say(f"cut at {found.asked}; the gallery itself suggests {found.automatic}")


def _print_detail(detail: ClusterDetail) -> None:
    rows = [(n, image.id, f"{image.score:.3f}", image.path) for n, image in enumerate(detail.sample, start=1)]
    print_table(("", "id", "score", "path"), rows, right=("", "score"))
    view = detail.cluster
    say(f"cluster {view.id}: {view.size:,} images, cohesion {view.cohesion:.3f}, label {view.label or 'none'}")
    similar = ", ".join(f"{other} ({score:.3f})" for other, score in view.similar)
    say(f"most similar clusters: {similar or 'none'}; {view.n_strangers} images may not belong")
    n = len(detail.sample)
    say(f"above: a sample drawn at random. When you have looked at all {n}, label the cluster:")
    say(
        f"lookalike label {view.id} TEXT --inspected {n} --wrong-ids ID,..."
        + (f" --seed {detail.seed}" if detail.seed else "")
    )


def _print_unassigned(paths: list[Path], *, as_json: bool) -> None:
    if as_json:
        print_json({"unassigned": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(display_text(str(path)))
    say(f"{len(paths):,} images are in no cluster")

"""`docs`: the documentation of this version, as the wheel has it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import JsonOption, print_json, print_table, printable
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(docs)


def docs(
    page: Annotated[str | None, typer.Argument(help="Name of a page, such as operations.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a page of the documentation (Markdown), or the list of pages."""
    pages = {each.name.removesuffix(".md").lower(): each for each in _folder().iterdir()}
    if page is not None:
        _print_page(pages, page)
        return
    titles = {name: _title(file) for name, file in sorted(pages.items())}
    if as_json:
        print_json(titles)
    else:
        print_table("dicom-node docs PAGE", ["page", "title"], titles.items())


def _folder() -> Traversable:
    return files("dicom_node.cli") / "files" / "docs"


def _print_page(pages: dict[str, Traversable], page: str) -> None:
    file = pages.get(page.lower().removesuffix(".md"))
    if file is None:
        raise NodeError(f"there is no page {page}, only {', '.join(sorted(pages))}")
    for line in file.read_text(encoding="utf-8").splitlines():
        typer.echo(printable(line))


def _title(file: Traversable) -> str:
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ")

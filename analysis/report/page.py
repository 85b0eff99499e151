"""The report as one HTML file that needs no network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from ..tables.table import STAR, Table
from . import sentences
from .content import Contents
from .rescued import CAP, Browser

PROBLEMATIC = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028"}
"""Characters that could end a script element from inside its JSON."""


def render(
    contents: Contents,
    pictures: Sequence[Mapping[str, str]],
    browser: Browser,
    extras: Mapping[tuple[int, int], Mapping[str, str]],
) -> str:
    """Returns the page.

    Pictures have a `name`, `title` and `uri`. Extras are by comparison and sample index:
    `thumbnail` (a data URI) and `report` (text), as far as they were asked for.
    """
    folder = resources.files(__name__.rpartition(".")[0])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "page.html.jinja").read_text("utf-8"))
    return template.render(
        title=sentences.title(contents),
        headline=sentences.headline(contents),
        methods=sentences.methods(contents),
        warnings=contents.warnings,
        tables=[_table(table) for table in contents.tables],
        pictures=pictures,
        samples=_json(_samples(browser, extras)),
        capped=[
            (name, totals)
            for name, totals in zip(browser.names, browser.totals, strict=True)
            if max(totals.values()) > CAP
        ],
        cap=CAP,
        has_samples=bool(browser.samples),
        style=Markup((folder / "page.css").read_text("utf-8")),
        script=Markup((folder / "page.js").read_text("utf-8")),
    )


def _table(table: Table) -> dict[str, Any]:
    """Returns a table's cells with what each is sorted by."""
    columns = [str(name) for name in table.shown.columns]
    values = {name: table.data[key].tolist() for name, key in table.keys.items()}
    rows = []
    for place, row in enumerate(table.shown.itertuples(index=False, name=None)):
        cells = []
        for name, text in zip(columns, row, strict=True):
            value = values[name][place] if name in values else None
            number = value if isinstance(value, int | float) and value == value else None
            starred = str(text).endswith(STAR)
            cells.append({"text": str(text), "sort": number, "bold": starred})
        rows.append(cells)
    numeric = [name in values for name in columns]
    return {
        "name": table.name,
        "title": table.title,
        "columns": list(zip(columns, numeric, strict=True)),
        "rows": rows,
        "notes": table.notes,
    }


def _samples(
    browser: Browser, extras: Mapping[tuple[int, int], Mapping[str, str]]
) -> dict[str, Any]:
    """Returns the browser's content as the page's script reads it."""
    rows = [
        {**asdict(sample), **extras.get((sample.comparison, sample.index), {})}
        for sample in browser.samples
    ]
    return {"comparisons": list(browser.names), "rows": rows}


def _json(value: Any) -> Markup:
    """Returns JSON that cannot leave the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escape in PROBLEMATIC.items():
        text = text.replace(character, escape)
    return Markup(text)

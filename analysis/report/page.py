"""The report as one HTML file that needs no network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from ..tables import layout
from ..tables.planted_table import sentences as sentences_on_replaced
from ..tables.table import STAR, Table
from . import sentences
from .content import Contents
from .next_steps import next_steps
from .panels import WIDTH
from .rescued import CAP, Browser
from .verdict import answers

CSS_PIXELS = 100
"""Pixels of a browser to an inch of a figure: as many as its image has there, to be sharp."""

LONG = 16
"""Letters of a word from which on it may be broken on paper."""

PROBLEMATIC = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028"}
"""Characters that could end a script element from inside its JSON."""


def render(
    contents: Contents,
    pictures: Sequence[Mapping[str, str]],
    browser: Browser,
    extras: Mapping[tuple[int, int], Mapping[str, str]],
) -> str:
    """Returns the page.

    Pictures have a `section`, `name`, `title` and `uri`. Extras are by comparison and sample index:
    `thumbnail` (a data URI) and `report` (text), as far as they were asked for.
    """
    folder = resources.files(__name__.rpartition(".")[0])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "page.html.jinja").read_text("utf-8"))
    return template.render(
        title=sentences.title(contents),
        answers=answers(contents.results["contrasts"], contents.comparisons),
        steps=next_steps(contents),
        sentences=sentences.headline(contents),
        planted=sentences_on_replaced(contents.results["planted"]),
        methods=sentences.methods(contents),
        warnings=contents.warnings,
        parts=_parts(contents, pictures),
        notes=_notes(list(contents.tables.values())),
        width=round(WIDTH * CSS_PIXELS),
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


def _parts(contents: Contents, pictures: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Returns the sections that have a table or pictures, in their order."""
    parts = []
    for section in contents.sections:
        table = contents.tables.get(section.name)
        mine = [picture for picture in pictures if picture["section"] == section.name]
        if table is None and not mine:
            continue
        parts.append(
            {
                "name": section.name,
                "title": mine[0]["title"] if table is None else table.title,
                "shown": section.shown,
                "table": None if table is None else _table(table),
                "pictures": mine,
            }
        )
    return parts


def _notes(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """Returns each note of the tables once, with the titles of the tables that bear it."""
    found: dict[str, list[str]] = {}
    for table in tables:
        for note in table.notes:
            found.setdefault(note, []).append(table.title)
    return [(note, "; ".join(titles)) for note, titles in found.items()]


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
            names = ["published"] * name.endswith(layout.PUBLISHED)
            if max(map(len, str(text).split()), default=0) > LONG:
                names.append("long")
            cells.append(
                {"text": str(text), "sort": number, "bold": starred, "classes": " ".join(names)}
            )
        rows.append(cells)
    heads = [
        {"text": name, "numeric": name in values, "published": name.endswith(layout.PUBLISHED)}
        for name in columns
    ]
    return {"name": table.name, "columns": heads, "rows": rows}


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

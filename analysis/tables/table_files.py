"""Tables as files: CSV (every number), Markdown and LaTeX (as printed)."""

from pathlib import Path

import pandas as pd

from clipit_eva.files import atomic_path

from .table import STAR, Table

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "†": r"$^\dagger$", "*": r"$^{*}$",
    "[": "{[}", "]": "{]}",
}  # fmt: skip
"""Characters with a meaning in LaTeX. Brackets: behind a row's end they would be an argument."""


def write_table(table: Table, folder: Path) -> list[Path]:
    """Writes a table as `<name>.csv`, `.md` and `.tex`, each atomically.

    Returns:
        The files.
    """
    texts = {".csv": csv(table), ".md": markdown(table), ".tex": latex(table)}
    paths = []
    for suffix, text in texts.items():
        paths.append(folder / f"{table.name}{suffix}")
        with atomic_path(paths[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def csv(table: Table) -> str:
    """Returns every number of a table as CSV, unrounded."""
    return table.data.to_csv(index=False, lineterminator="\n")


def markdown(table: Table) -> str:
    """Returns a table as printed, in Markdown with its footer; starred cells are bold."""
    head = "| " + " | ".join(map(_markdown_text, table.shown.columns)) + " |"
    rule = "|" + " --- |" * len(table.shown.columns)
    rows = ["| " + " | ".join(map(_markdown_cell, row)) + " |" for row in _rows(table.shown)]
    footer = "\n".join(f"- {_markdown_text(note)}" for note in table.notes)
    return "\n".join([f"## {_markdown_text(table.title)}", "", head, rule, *rows, "", footer, ""])


def latex(table: Table) -> str:
    """Returns a table as printed, in LaTeX for the packages booktabs and graphicx.

    Starred cells are bold. Wide tables shrink to the line's width.
    """
    columns = "l" * len(table.shown.columns)
    head = " & ".join(map(latex_text, table.shown.columns))
    rows = "\n".join(" & ".join(map(_latex_cell, row)) + r" \\" for row in _rows(table.shown))
    footer = "\n".join(latex_text(note) + r"\par" for note in table.notes)
    return (
        "% needs \\usepackage{booktabs,graphicx}\n"
        "\\begin{table}\n\\centering\n"
        f"\\caption{{{latex_text(table.title)}}}\n\\label{{tab:{table.name.replace('_', '-')}}}\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n{rows}\n"
        "\\bottomrule\n\\end{tabular}}\n\n"
        f"\\begin{{minipage}}{{\\linewidth}}\\footnotesize\n{footer}\n\\end{{minipage}}\n"
        "\\end{table}\n"
    )


def latex_text(text: str) -> str:
    """Returns text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in str(text))


def _latex_cell(text: str) -> str:
    if text.endswith(STAR):
        return rf"\textbf{{{latex_text(text.removesuffix(STAR))}}}$^{{*}}$"
    return latex_text(text)


def _markdown_cell(text: str) -> str:
    if text.endswith(STAR):
        return f"**{_markdown_text(text.removesuffix(STAR))}** \\*"
    return _markdown_text(text)


def _markdown_text(text: str) -> str:
    """Returns text that Markdown shows as it is."""
    for character in "\\`*_<>|[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _rows(shown: pd.DataFrame) -> list[list[str]]:
    return [[str(value) for value in row] for row in shown.itertuples(index=False, name=None)]

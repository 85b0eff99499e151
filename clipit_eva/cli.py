"""The `clipit-eva` command: parses, calls, prints.

Everything heavy is imported by the command that needs it, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from clipit_eva import __version__
from clipit_eva.errors import InputError


class _Parser(argparse.ArgumentParser):
    """A parser that reports a wrong call in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The words after the command's name; `None` means those of this process.

    Returns:
        The exit status: 0, 1 if a job of a grid failed, or 2 for a user's mistake, which is
        printed in one line.
    """
    options = _parser().parse_args(arguments)
    try:
        status = options.run(options)
    except InputError as error:
        print(f"clipit-eva: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status or 0


def _parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = _Parser(
        prog="clipit-eva",
        description="CLIP-IT for kaiko-eva: text knowledge for histology image classifiers.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=lambda _: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_demo(commands)
    _add_configs(commands)
    _add_clip_models(commands)
    _add_pairing(commands)
    _add_report(commands)
    _add_ablate(commands)
    _add_export(commands)
    return parser


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    demo = commands.add_parser(
        "demo", help="run the whole method on a synthetic cohort: no download, no GPU"
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("clipit_demo"),
        metavar="DIR",
        help="folder of all results (default: clipit_demo); the same command continues there",
    )
    demo.add_argument(
        "--replaced-share",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the pairs replaced at random, 0 to 1 (default: 0; 1 = no information)",
    )
    demo.add_argument(
        "--jobs", type=int, metavar="N", help="processes at a time (default: 2, or 1 on one core)"
    )
    demo.set_defaults(run=_demo)


def _add_configs(commands: "argparse._SubParsersAction[_Parser]") -> None:
    configs = commands.add_parser(
        "configs", help="list the shipped eva configs, or print the path of one"
    )
    configs.add_argument(
        "name", nargs="?", metavar="NAME", help="such as clip_it/bach, or clip_it with --task"
    )
    configs.add_argument(
        "--task", type=Path, metavar="CARD", help="card of a task of one's own (YAML)"
    )
    configs.set_defaults(run=_configs)


def _add_report(commands: "argparse._SubParsersAction[_Parser]") -> None:
    report = commands.add_parser(
        "report", help="tables, figures and one page of finished runs, from saved files alone"
    )
    report.add_argument(
        "runs",
        type=Path,
        metavar="RUNS_DIR",
        help="folder of finished runs: every predictions.parquet below it is one",
    )
    report.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of the report"
    )
    report.add_argument(
        "--margin",
        type=float,
        default=0.5,
        metavar="POINTS",
        help="equivalence margin of ablations, to be fixed before looking (default: 0.5 points)",
    )
    report.add_argument(
        "--resamples",
        type=int,
        default=9999,
        metavar="N",
        help="resamples of each bootstrap (default: 9999)",
    )
    report.add_argument(
        "--thumbnails",
        action="store_true",
        help="show rescued and lost images on the page (from the data root that runs record)",
    )
    report.add_argument(
        "--report-text",
        action="store_true",
        help="show the paired reports on the page; do not pass such a page on",
    )
    report.set_defaults(run=_report)


def _add_export(commands: "argparse._SubParsersAction[_Parser]") -> None:
    export = commands.add_parser(
        "export", help="write a trained run as one plain vision classifier (timm or ONNX)"
    )
    export.add_argument(
        "folder", type=Path, metavar="RUN", help="folder of a CLIP-IT or unimodal run"
    )
    export.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=".safetensors for timm, .onnx for onnxruntime; an eva config (.yaml) goes beside it",
    )
    export.add_argument(
        "--branch",
        choices=("fused", "vision"),
        default="fused",
        help="the run's prediction (default), or its vision branch alone: one linear layer",
    )
    export.add_argument(
        "--no-check",
        action="store_true",
        help="do not compare the written file with the trained module",
    )
    export.set_defaults(run=_export)


def _add_ablate(commands: "argparse._SubParsersAction[_Parser]") -> None:
    ablate = commands.add_parser(
        "ablate", help="run a plan of many runs, here or on SLURM; the same command resumes it"
    )
    ablate.add_argument(
        "plan", metavar="PLAN", help="a plan's file, or a shipped one's name (ablations/demo)"
    )
    ablate.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of all jobs"
    )
    ablate.add_argument(
        "--engine", choices=("local", "slurm"), default="local", help="where jobs run"
    )
    ablate.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="jobs at a time, with --engine local (default: one a GPU, or one a core, at most 2)",
    )
    ablate.add_argument(
        "--only", action="append", default=[], metavar="JOB", help="run a job and its dependencies"
    )
    look = ablate.add_mutually_exclusive_group()
    look.add_argument(
        "--dry-run", action="store_true", help="list jobs, commands and what is reused"
    )
    look.add_argument("--status", action="store_true", help="show how far each job is")
    look.add_argument("--cancel", action="store_true", help="cancel the SLURM jobs")
    slurm = ablate.add_argument_group("SLURM", "settings that replace those of the plan")
    for name in ("partition", "account", "time", "memory"):
        slurm.add_argument(f"--{name}", metavar=name.upper())
    slurm.add_argument("--gpus", type=int, metavar="N", help="GPUs of a job")
    slurm.add_argument("--max-running", type=int, metavar="N", help="SLURM jobs that run at a time")
    ablate.set_defaults(run=_ablate)


def _add_clip_models(commands: "argparse._SubParsersAction[_Parser]") -> None:
    models = commands.add_parser(
        "clip-models", help="list the image-text models that CLIP_MODEL knows by name"
    )
    models.set_defaults(run=_clip_models)


def _add_pairing(commands: "argparse._SubParsersAction[_Parser]") -> None:
    pairing = commands.add_parser(
        "pairing", help="describe pairing tables: similarities, hubs, purity, agreement"
    )
    pairing.add_argument("tables", type=Path, nargs="+", metavar="TABLE", help="pairing tables")
    pairing.add_argument("--output", type=Path, metavar="DIR", help="folder for CSVs and figures")
    pairing.add_argument(
        "--images",
        type=Path,
        metavar="DATA_ROOT",
        help="the images' folder: train labels are read to report class purity",
    )
    pairing.add_argument("--reports", metavar="REPORTS", help="the reports, for --gallery")
    pairing.add_argument(
        "--report-column", default="text", metavar="NAME", help="their text column"
    )
    pairing.add_argument(
        "--gallery",
        action="store_true",
        help="write a page of images and the first words of their reports, which may be private",
    )
    pairing.set_defaults(run=_pairing)


def _configs(options: argparse.Namespace) -> None:
    from clipit_eva.tasks import configs

    if options.name is not None:
        print(configs.path(options.name, options.task))
    elif options.task is None:
        print("\n".join(configs.names()))
    else:
        raise InputError("configs --task needs a method: clipit-eva configs clip_it --task CARD")


def _clip_models(_: argparse.Namespace) -> None:
    from clipit_eva.clip import registry

    for name, package in registry.list_models().items():
        print(f"{name:20} {package}")
    print(
        "hf-hub:ORGANISATION/NAME, a local folder, or an open_clip architecture with a checkpoint"
    )


def _pairing(options: argparse.Namespace) -> None:
    from clipit_eva.analysis.pairing.inspection import inspect_tables, render  # pyright: ignore[reportMissingImports]

    summary = inspect_tables(
        options.tables,
        output=options.output,
        images=options.images,
        reports=options.reports,
        column=options.report_column,
        gallery=options.gallery,
    )
    print(render(summary))


def _demo(options: argparse.Namespace) -> None:
    if not 0 <= options.replaced_share <= 1:
        raise InputError(f"--replaced-share {options.replaced_share} must lie in [0, 1]")
    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"--jobs {options.jobs} must be at least 1")
    from clipit_eva.analysis.frames.summary import summarize  # pyright: ignore[reportMissingImports]
    from clipit_eva.analysis.grid.demo_grid import run_demo  # pyright: ignore[reportMissingImports]
    from clipit_eva.analysis.reading.runs import read_runs  # pyright: ignore[reportMissingImports]
    from clipit_eva.demo.result import render

    files = run_demo(options.output, options.replaced_share, options.jobs)
    print(render(files, summarize(read_runs(files["runs"]))))


def _export(options: argparse.Namespace) -> None:
    from clipit_eva.export.command import export_run, render

    print(render(export_run(options.folder, options.output, options.branch, not options.no_check)))


def _report(options: argparse.Namespace) -> None:
    from clipit_eva.analysis.report.content import Options  # pyright: ignore[reportMissingImports]
    from clipit_eva.analysis.report.report_files import write_report  # pyright: ignore[reportMissingImports]

    chosen = Options(options.margin, options.resamples, options.thumbnails, options.report_text)
    page = write_report(options.runs, options.output, chosen)
    for name in ("table1", "ablations"):
        if (table := page.with_name(f"{name}.md")).is_file():
            print(table.read_text())
    print(f"Report: {page}")


def _ablate(options: argparse.Namespace) -> int:
    from clipit_eva.analysis.grid.ablate import Options, ablate  # pyright: ignore[reportMissingImports]

    settings = ("partition", "account", "time", "memory", "gpus", "max_running")
    given = {name: getattr(options, name) for name in settings}
    asked = Options(
        engine=options.engine,
        parallel=options.jobs,
        only=tuple(options.only),
        dry_run=options.dry_run,
        status=options.status,
        cancel=options.cancel,
        slurm={name: value for name, value in given.items() if value is not None},
    )
    return 0 if ablate(options.plan, options.output, asked, print) else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""The `clipit-eva` command: parses, calls, prints.

Everything heavy is imported by the command that needs it, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from clipit_eva import __version__
from clipit_eva.errors import InputError


class _Parser(argparse.ArgumentParser):
    """A parser that reports a wrong call in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")

    def value(self, name: str, metavar: str, help: str, **options: Any) -> None:
        """Adds what has a value: a path, unless another type is given."""
        self.add_argument(name, metavar=metavar, help=help, **{"type": Path, **options})

    def flag(self, name: str, help: str) -> None:
        """Adds what is on or off."""
        self.add_argument(name, action="store_true", help=help)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line, of the given words or those of this process.

    Returns the exit status: 0, 1 if a job of a grid failed, or 2 for a user's mistake, which is
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
    parser = _Parser(
        prog="clipit-eva",
        description="CLIP-IT for kaiko-eva: text knowledge for histology image classifiers.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=lambda _: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(run: Callable[[argparse.Namespace], int | None], help: str) -> _Parser:
        command = commands.add_parser(run.__name__.strip("_").replace("_", "-"), help=help)
        command.set_defaults(run=run)
        return command

    _demo_options(add(_demo, "run the whole method on a synthetic cohort: no download, no GPU"))
    _configs_options(add(_configs, "list the shipped eva configs, or print the path of one"))
    add(_clip_models, "list the image-text models that CLIP_MODEL knows by name")
    _pairing_options(
        add(_pairing, "describe pairing tables: similarities, hubs, purity, agreement")
    )
    _report_options(
        add(_report, "tables, figures and one page of finished runs, from saved files alone")
    )
    _power_options(add(_power, "tell the smallest gain that a plan's runs could show, before any"))
    _ablate_options(
        add(_ablate, "run a plan of many runs, here or on SLURM; the same command resumes it")
    )
    _export_options(
        add(_export, "write a trained run as one plain vision classifier (timm or ONNX)")
    )
    return parser


def _demo_options(demo: _Parser) -> None:
    again = "folder of all results (default: clipit_demo); the same command continues there"
    demo.value("--output", "DIR", again, default=Path("clipit_demo"))
    share = "share of the pairs replaced at random, 0 to 1 (default: 0; 1 = no information)"
    demo.value("--replaced-share", "SHARE", share, type=float, default=0.0)
    demo.value("--jobs", "N", "processes at a time (default: 2, or 1 on one core)", type=int)


def _demo(options: argparse.Namespace) -> None:
    if not 0 <= options.replaced_share <= 1:
        raise InputError(f"--replaced-share {options.replaced_share} must lie in [0, 1]")
    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"--jobs {options.jobs} must be at least 1")
    from clipit_eva.analysis.grid import demo_grid  # pyright: ignore[reportMissingImports]
    from clipit_eva.demo.result import render

    files = demo_grid.run_demo(options.output, options.replaced_share, options.jobs)
    print(render(files, *demo_grid.results(files["runs"])))


def _configs_options(configs: _Parser) -> None:
    name = "such as clip_it/bach, or clip_it with --task"
    configs.value("name", "NAME", name, type=str, nargs="?")
    configs.value("--task", "CARD", "card of a task of one's own (YAML)")


def _configs(options: argparse.Namespace) -> None:
    from clipit_eva.tasks import configs

    if options.name is not None:
        print(configs.path(options.name, options.task))
    elif options.task is None:
        print("\n".join(configs.names()))
    else:
        raise InputError(
            "configs --task needs a method; give it: clipit-eva configs clip_it --task CARD"
        )


def _clip_models(_: argparse.Namespace) -> None:
    from clipit_eva.clip import registry

    for name, package in registry.list_models().items():
        print(f"{name:20} {package}")
    print(
        "hf-hub:ORGANISATION/NAME, a local folder, or an open_clip architecture with a checkpoint"
    )


def _pairing_options(pairing: _Parser) -> None:
    pairing.value("tables", "TABLE", "pairing tables", nargs="+")
    pairing.value("--output", "DIR", "folder for CSVs and figures")
    labels = "the images' folder: train labels are read to report class purity"
    pairing.value("--images", "DATA_ROOT", labels)
    pairing.value("--reports", "REPORTS", "the reports, for --gallery", type=str)
    pairing.value("--report-column", "NAME", "their text column", type=str, default="text")
    page = "write a page of images and the first words of their reports, which may be private"
    pairing.flag("--gallery", page)


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


def _report_options(report: _Parser) -> None:
    every = "folder of finished runs: every predictions.parquet below it is one"
    report.value("runs", "RUNS_DIR", every)
    report.value("--output", "DIR", "folder of the report", required=True)
    margin = "equivalence margin (default: what a grid's plan has fixed, else 0.5 points)"
    report.value("--margin", "POINTS", margin, type=float)
    resamples = "resamples of each bootstrap (default: 9999)"
    report.value("--resamples", "N", resamples, type=int, default=9999)
    groups = "CSV file with the slide or patient (`group`) of each test image (`filename`)"
    report.value("--groups", "FILE", groups)
    images = "show rescued and lost images on the page (from the data root that runs record)"
    report.flag("--thumbnails", images)
    private = "show the paired reports on the page; do not pass such a page on"
    report.flag("--report-text", private)


def _report(options: argparse.Namespace) -> None:
    from clipit_eva.analysis.report.content import Options  # pyright: ignore[reportMissingImports]
    from clipit_eva.analysis.report.report_files import write_report  # pyright: ignore[reportMissingImports]

    chosen = Options(
        options.margin,
        options.resamples,
        options.thumbnails,
        options.report_text,
        options.groups,
    )
    page = write_report(options.runs, options.output, chosen)
    for name in ("contrasts", "ablations"):
        if (table := page.with_name(f"{name}.md")).is_file():
            print(table.read_text())
    print(f"Report: {page}")


def _power_options(power: _Parser) -> None:
    plan = "a plan's file, or a shipped one's name (ablations/paper)"
    power.value("plan", "PLAN", plan, type=str)
    images = "test images (default: those below the plan's DATA_ROOT)"
    power.value("--test-size", "N", images, type=int)
    power.value("--classes", "N", "classes (default: the task card's)", type=int)
    power.value("--slides", "N", "slides or patients of the test images", type=int)


def _power(options: argparse.Namespace) -> None:
    from clipit_eva.analysis.grid.planned_power import Sizes, power  # pyright: ignore[reportMissingImports]

    print(power(options.plan, Sizes(options.test_size, options.classes, options.slides)))


def _ablate_options(ablate: _Parser) -> None:
    plan = "a plan's file, or a shipped one's name (ablations/demo)"
    ablate.value("plan", "PLAN", plan, type=str)
    ablate.value("--output", "DIR", "folder of all jobs", required=True)
    engines = ("local", "slurm")
    ablate.add_argument("--engine", choices=engines, default="local", help="where jobs run")
    jobs = "jobs at a time, with --engine local (default: one a GPU, or one a core, at most 2)"
    ablate.value("--jobs", "N", jobs, type=int)
    only = "run a job and its dependencies"
    ablate.value("--only", "JOB", only, type=str, action="append", default=[])
    look = ablate.add_mutually_exclusive_group()
    reused = "list jobs, commands and what is reused"
    look.add_argument("--dry-run", action="store_true", help=reused)
    look.add_argument("--status", action="store_true", help="show how far each job is")
    look.add_argument("--cancel", action="store_true", help="cancel the SLURM jobs")
    slurm = ablate.add_argument_group("SLURM", "settings that replace those of the plan")
    for name in ("partition", "account", "time", "memory"):
        slurm.add_argument(f"--{name}", metavar=name.upper())
    slurm.add_argument("--gpus", type=int, metavar="N", help="GPUs of a job")
    slurm.add_argument("--max-running", type=int, metavar="N", help="SLURM jobs that run at a time")


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


def _export_options(export: _Parser) -> None:
    export.value("folder", "RUN", "folder of a CLIP-IT or unimodal run")
    kinds = ".safetensors for timm, .onnx for onnxruntime; an eva config (.yaml) goes beside it"
    export.value("--output", "FILE", kinds, required=True)
    branch = "the run's prediction (default), or its vision branch alone: one linear layer"
    export.add_argument("--branch", choices=("fused", "vision"), default="fused", help=branch)
    export.flag("--no-check", "do not compare the written file with the trained module")


def _export(options: argparse.Namespace) -> None:
    from clipit_eva.export.command import export_run, render

    print(render(export_run(options.folder, options.output, options.branch, not options.no_check)))


if __name__ == "__main__":
    raise SystemExit(main())

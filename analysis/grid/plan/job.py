"""Jobs of a grid: what runs, with which environment, after what."""

import dataclasses
import graphlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from clipit_eva.errors import InputError

METHODS = ("unimodal", "text_only", "clip_it")
"""What can be trained; each has a folder of shipped configs."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One process of a grid.

    Attributes:
        digest: SHA-256 hex digest of all that fixes the result; jobs of one digest are one job.
        kind: What it does, such as `pairing` or `clip_it`.
        name: What it is called, such as `clip_it/bach/uni/no_text/seed_1`.
        folder: Where it keeps everything; no other job writes there.
        command: The program and its arguments.
        environment: Variables that the process gets beside those of the calling one.
        dependencies: Digests of the jobs that have to be finished before.
        products: Patterns, below the folder's `work`, of files that a finished job has.
        seed: The seed of training, None where there is none.
        aliases: Further names of the same work.
    """

    digest: str
    kind: str
    name: str
    folder: Path
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    seed: int | None = None
    aliases: tuple[str, ...] = ()

    @property
    def work(self) -> Path:
        """The folder that the process writes to (its OUTPUT_ROOT)."""
        return self.folder / "work"

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return self.name, *self.aliases

    @property
    def is_plain(self) -> bool:
        """Whether it trains a method itself (METHOD/TASK/BACKBONE/seed_N), not a variation."""
        return any(name.count("/") == 3 for name in self.names)


@dataclasses.dataclass(frozen=True)
class Grid:
    """The folder of a plan's jobs, and the jobs by digest, each after its dependencies.

    `margin` is the plan's equivalence margin in points, None if it has none.
    """

    folder: Path
    jobs: Mapping[str, Job]
    margin: float | None = None

    def trained(self) -> list[Job]:
        """Returns the training runs."""
        return [job for job in self.jobs.values() if job.kind in METHODS]

    def with_dependencies(self, digests: Collection[str] | None) -> dict[str, Job]:
        """Returns jobs (None: all) together with all that they need, in the grid's order.

        Raises:
            InputError: A digest is no job's.
        """
        if digests is None:
            return dict(self.jobs)
        wanted = set(digests)
        for digest in wanted - self.jobs.keys():
            raise InputError(f"{digest[:12]} is no job of the grid {self.folder}")
        for digest in reversed(list(self.jobs)):
            if digest in wanted:
                wanted.update(self.jobs[digest].dependencies)
        return {digest: job for digest, job in self.jobs.items() if digest in wanted}

    @staticmethod
    def of(folder: Path, jobs: Iterable[Job], margin: float | None = None) -> "Grid":
        """Puts jobs in an order in which each comes after its dependencies.

        Raises:
            InputError: Jobs need each other in a circle, need an unknown job, or two of them
                write to one folder.
        """
        known: dict[str, Job] = {}
        owners: dict[Path, Job] = {}
        for job in jobs:
            other = owners.setdefault(job.folder, job)
            if other.digest != job.digest or job.digest in known:
                raise InputError(
                    f"jobs {other.name} and {job.name} write to one folder, {job.folder}; "
                    "leave one out"
                )
            known[job.digest] = job
        for job in known.values():
            for digest in job.dependencies:
                if digest not in known:
                    raise InputError(f"job {job.name} needs {digest[:12]}, which is no job")
        dependencies = {digest: job.dependencies for digest, job in known.items()}
        try:
            order = list(graphlib.TopologicalSorter(dependencies).static_order())
        except graphlib.CycleError as error:
            names = " -> ".join(known[digest].name for digest in error.args[1])
            raise InputError(f"jobs need each other in a circle: {names}") from error
        return Grid(folder, {digest: known[digest] for digest in order}, margin)

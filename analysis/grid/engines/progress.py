"""How a running grid looks in a terminal."""

import sys

from tqdm import tqdm

from .schedule import Schedule


class Progress:
    """Counts, rate and time left, on one line; where stderr is no terminal, a line a finished job.

    Args:
        schedule: What is counted.
        shown: Whether anything is printed at all.

    Attributes:
        moves: Whether there is a line whose times have to be kept up to date.
    """

    def __init__(self, schedule: Schedule, shown: bool) -> None:
        self._schedule, self._shown = schedule, shown
        self._bar = tqdm(
            total=schedule.total,
            initial=len(schedule.finished),
            unit="job",
            smoothing=0,  # the mean rate: jobs that start together end together
            disable=None if shown else True,
            dynamic_ncols=True,
        )
        self.moves: bool = not self._bar.disable

    def update(self, running: int, elsewhere: int) -> None:
        """Shows how many jobs are over, run here, or run in other processes."""
        if not self.moves:
            return
        failed, cancelled = len(self._schedule.failed), len(self._schedule.cancelled)
        finished = len(self._schedule.finished)
        others = {"elsewhere": elsewhere, "failed": failed, "cancelled": cancelled}
        shown = {kind: count for kind, count in others.items() if count}
        self._bar.set_postfix({"finished": finished, "running": running, **shown}, refresh=False)
        self._bar.update(finished + failed + cancelled - self._bar.n)
        self._bar.refresh()

    def say(self, line: str) -> None:
        """Prints a line that stays, on stderr, terminal or not."""
        if self._shown:
            tqdm.write(line, file=sys.stderr)

    def note(self, what: str) -> None:
        """Prints, where no line moves, how many jobs are finished, and which was the last."""
        if not self.moves:
            self.say(f"finished {len(self._schedule.finished)} of {self._schedule.total}: {what}")

    def close(self) -> None:
        """Leaves the line as it is."""
        self._bar.close()

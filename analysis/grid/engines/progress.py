"""How a running grid looks in a terminal."""

import sys

from tqdm import tqdm


class Progress:
    """Counts, rate and time left, on one line; where stderr is no terminal, a line a finished job.

    Args:
        total: Number of jobs.
        finished: Number of those that were finished before.
        shown: Whether anything is printed at all.

    Attributes:
        moves: Whether there is a line whose times have to be kept up to date.
    """

    def __init__(self, total: int, finished: int, shown: bool) -> None:
        self._shown, self._total = shown, total
        self._bar = tqdm(
            total=total,
            initial=finished,
            unit="job",
            smoothing=0,  # the mean rate: jobs that start together end together
            disable=None if shown else True,
            dynamic_ncols=True,
        )
        self.moves: bool = not self._bar.disable

    def update(self, **counts: int) -> None:
        """Shows how many jobs are `finished`, `failed` or `cancelled` (all over), `running`, ..."""
        if not self.moves:
            return
        shown = {kind: n for kind, n in counts.items() if n or kind in ("finished", "running")}
        self._bar.set_postfix(shown, refresh=False)
        over = sum(counts.get(kind, 0) for kind in ("finished", "failed", "cancelled"))
        self._bar.update(over - self._bar.n)
        self._bar.refresh()

    def say(self, line: str) -> None:
        """Prints a line that stays, on stderr, terminal or not."""
        if self._shown:
            tqdm.write(line, file=sys.stderr)

    def note(self, finished: int, what: str) -> None:
        """Prints, where no line moves, how many jobs are finished, and which was the last."""
        if not self.moves:
            self.say(f"finished {finished} of {self._total}: {what}")

    def close(self) -> None:
        """Leaves the line as it is."""
        self._bar.close()

"""Token ids of reports for training, as short as a batch allows."""

from collections.abc import Callable, Sequence

import torch

Tokenize = Callable[[Sequence[str]], torch.Tensor]
"""Texts -> token ids [len(texts), L], int64."""

CountNeeded = Callable[[torch.Tensor], torch.Tensor]
"""Token ids [n, L] -> how many of its first tokens each row's embedding depends on [n], int64."""


class ReportTokens:
    """Token ids of texts, each tokenized when it is first read, and once. All on the CPU."""

    def __init__(
        self, texts: Sequence[str], tokenize: Tokenize, count_needed: CountNeeded | None = None
    ) -> None:
        """Initializes the table; nothing is tokenized yet. Without `count_needed` all matter."""
        self._texts = texts
        self._tokenize = tokenize
        self._count_needed = count_needed
        self._ids = torch.empty(0, 0, dtype=torch.int64)
        self._needed = torch.zeros(len(texts), dtype=torch.int64)  # 0: not tokenized yet

    def read(self, places: torch.Tensor) -> torch.Tensor:
        """Returns token ids [n, longest], int64, cut after the last that matters for any text.

        Of the texts at distinct places [n], int64.
        """
        new = places[self._needed[places] == 0]
        if len(new):
            ids = self._tokenize(self._texts_at(new))
            if not self._ids.numel():
                self._ids = torch.empty(len(self._texts), ids.shape[1], dtype=ids.dtype)
            self._ids[new] = ids
            self._needed[new] = self._count(ids)
        longest = int(self._needed[places].max())
        return self._ids[places, :longest]

    def read_changed(self, places: torch.Tensor, change: Callable[[str], str]) -> torch.Tensor:
        """Returns the token ids of changed texts, as `read` does; they are not kept."""
        ids = self._tokenize([change(text) for text in self._texts_at(places)])
        return ids[:, : int(self._count(ids).max())]

    def _texts_at(self, places: torch.Tensor) -> list[str]:
        """Returns the texts at places [n]."""
        return [self._texts[int(place)] for place in places.numpy()]

    def _count(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns how many tokens of each row matter [n], at least 1."""
        if self._count_needed is None:
            return torch.full(ids.shape[:1], ids.shape[1])
        return self._count_needed(ids)


class Chunks:
    """Which texts belong to which report, as arrays."""

    def __init__(self, reports: Sequence[str | Sequence[str]]) -> None:
        """Takes the reports, or each report's chunks."""
        chunks = [[report] if isinstance(report, str) else list(report) for report in reports]
        self.texts: list[str] = [text for report in chunks for text in report]
        self._counts = torch.tensor([len(report) for report in chunks])
        self._starts = self._counts.cumsum(0) - self._counts

    def of(self, reports: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the chunks of reports [n], int64.

        Returns:
            The places of their texts [m], in order, and the position in `reports` that each
            belongs to [m]; both int64.
        """
        counts = self._counts[reports]
        owners = torch.arange(len(reports)).repeat_interleave(counts)
        first = counts.cumsum(0) - counts
        within = torch.arange(len(owners)) - first[owners]
        return self._starts[reports][owners] + within, owners

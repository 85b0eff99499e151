"""The limits below which a test is refused or warned about, and the words for a footnote."""

MIN_SEEDS = 3
"""Two differences give one degree of freedom: a t interval is then +-12.7 standard errors."""
WARN_SEEDS = 5
MIN_CLUSTERS = 5
"""Cluster-robust standard errors are biased downwards with so few clusters."""
WARN_CLUSTERS = 20
MIN_PAIRS = 6
"""The two-sided signed-rank p is at least 2 / 2**n, which is .0625 at five pairs."""
MIN_DATASETS = 6


def seed_refusal(n_seeds: int, test: str) -> str | None:
    """Returns why `test` is refused with so few seeds, or None."""
    if n_seeds >= MIN_SEEDS:
        return None
    seeds = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds"
    return f"{seeds}: {test} needs at least {MIN_SEEDS}"


def seed_warnings(n_seeds: int) -> tuple[str, ...]:
    """Returns the warning for few seeds, if one is due."""
    if MIN_SEEDS <= n_seeds < WARN_SEEDS:
        return (f"only {n_seeds} seeds (fewer than {WARN_SEEDS})",)
    return ()


def cluster_refusal(n_clusters: int | None) -> str | None:
    """Returns why a clustered standard error is refused, or None (also without clusters)."""
    if n_clusters is None or n_clusters >= MIN_CLUSTERS:
        return None
    return f"{n_clusters} clusters: a clustered standard error needs at least {MIN_CLUSTERS}"


def cluster_warnings(n_clusters: int | None) -> tuple[str, ...]:
    """Returns the warning for few clusters, if one is due."""
    if n_clusters is not None and MIN_CLUSTERS <= n_clusters < WARN_CLUSTERS:
        return (f"only {n_clusters} clusters (fewer than {WARN_CLUSTERS})",)
    return ()

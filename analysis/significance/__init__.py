"""Significance of a difference between two arms (procedures), for new seeds and new samples.

Arms are correctness arrays [seeds, samples] (`correctness` makes them from predictions); a
difference is always first - second, as a fraction. The primary test is `crossed_test`; `compare`
runs it with all secondary ones. Names are resolved on first use.
"""

import importlib
from typing import Any

_EXPORTS = {
    "same_samples": ("check_aligned",),
    "arrays": ("correctness",),
    "auc": ("AucDifference", "auc_cluster_bootstrap"),
    "bootstrap": ("BootstrapDifference", "cluster_bootstrap", "stratified_bootstrap"),
    "clustered": ("ClusteredDifference", "clustered_difference"),
    "all_tests": ("AllTests", "compare"),
    "crossed": ("CrossedTest", "crossed_mean", "crossed_test"),
    "crossed_unpaired": ("UnpairedCrossedTest", "crossed_test_unpaired"),
    "datasets": (
        "Friedman",
        "MacroDifference",
        "Nemenyi",
        "friedman_test",
        "macro_difference",
        "nemenyi_critical_difference",
        "nemenyi_p",
        "nemenyi_test",
    ),
    "delong": ("DeLong", "delong_test"),
    "effect_size": (
        "Outperforming",
        "cohen_d_z",
        "hedges_g_z",
        "probability_of_outperforming",
        "wilson_interval",
    ),
    "equivalence": (
        "Equivalence",
        "Verdict",
        "planned_ci90",
        "tost_crossed",
        "tost_paired",
        "verdict",
        "within_margin",
    ),
    "logit": ("LogitDifference", "gee_logit"),
    "mcnemar": ("McNemar", "McNemarRange", "mcnemar_per_seed", "mcnemar_test", "paired_table"),
    "multiplicity": ("AdjustedFamily", "adjust"),
    "paired_t": ("PairedT", "SeedSummary", "paired_t_test", "seed_summary"),
    "power": (
        "Attainable",
        "attainable",
        "min_two_sided_p",
        "paired_t_power",
        "reaches_holm",
        "smallest_d_z",
    ),
    "samples_only": ("SamplesOnlyTest", "samples_only_test"),
    "wilcoxon": ("SignedRank", "WilcoxonTest", "signed_rank", "wilcoxon_test"),
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """Lists the public names, for completion in a notebook."""
    return __all__

"""Significance of a difference between two arms (procedures), for new seeds and new samples.

The primary test is `crossed_test`; `compare` runs it with all secondary ones. Names are resolved on
first use. What functions of two arms take is the same everywhere:

- `first`, `second`: correctness (0 or 1) of the arms, [seeds, samples], or [samples] of one seed,
  the same samples in the same order (`correctness` makes them from predictions). Functions over
  seeds take one score a seed instead. A difference is always first - second, as a fraction.
- `classes`: true class of each sample. Given, it is balanced accuracy that is compared.
- `clusters`: slide or patient of each sample. Given, whole slides count as drawn.

They raise InputError where shapes do not fit, values are NaN or infinite, or labels are missing.
What the fields of results are called is described in `results.Result`.

`clipit-eva report` rests on the names in `REPORTED`; those in `NOTEBOOK` are for notebooks alone,
no command reaches them.
"""

from clipit_eva import _lazy

REPORTED = {
    "all_tests": ("AllTests", "compare"),
    "arrays": ("correctness",),
    "attribution": ("Attribution", "attribute"),
    "auc": ("AucDifference", "auc_cluster_bootstrap"),
    "bootstrap": ("BootstrapDifference", "cluster_bootstrap", "stratified_bootstrap"),
    "clustered": ("ClusteredDifference", "clustered_difference"),
    "crossed": (
        "CrossedTest",
        "SamplesOnlyTest",
        "crossed_mean",
        "crossed_test",
        "samples_only_test",
    ),
    "crossed_backbones": ("BackbonesTest", "crossed_test_over_backbones"),
    "datasets": (
        "MacroDifference",
        "Nemenyi",
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
    "equivalence": ("Equivalence", "Verdict", "tost_crossed", "verdict"),
    "mcnemar": ("McNemar", "McNemarRange", "mcnemar_per_seed", "mcnemar_test", "paired_table"),
    "multiplicity": ("AdjustedFamily", "adjust"),
    "paired_t": ("PairedT", "SeedSummary", "paired_t_test", "seed_summary"),
    "power": ("Assumptions", "Variances", "detectable", "min_two_sided_p"),
    "wilcoxon": ("SignedRank", "WilcoxonTest", "signed_rank", "wilcoxon_test"),
}
"""Public names of each module that the report rests on."""

NOTEBOOK = {
    "crossed_unpaired": ("UnpairedCrossedTest", "crossed_test_unpaired"),
    "datasets": ("Friedman", "friedman_test"),
    "equivalence": ("planned_ci90", "tost_paired", "within_margin"),
    "logit": ("LogitDifference", "gee_logit"),
    "power": ("Attainable", "attainable", "paired_t_power", "reaches_holm", "smallest_d_z"),
}
"""Public names that no command reaches."""

_EXPORTS = {
    name: f"{__name__}.{module}"
    for group in (REPORTED, NOTEBOOK)
    for module, names in group.items()
    for name in names
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__ = _lazy.attach(__name__, _EXPORTS)


def __dir__() -> list[str]:
    """Lists the public names, for completion in a notebook."""
    return __all__

"""Everything that may be said about two arms on one test set, each part refused on its own."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from .arrays import pair_of_arms
from .bootstrap import N_RESAMPLES, BootstrapDifference, cluster_bootstrap, stratified_bootstrap
from .clustered import ClusteredDifference, clustered_difference
from .crossed import CrossedTest, SamplesOnlyTest, crossed_test, samples_only_test
from .effect_size import Outperforming, probability_of_outperforming
from .mcnemar import McNemarRange, mcnemar_per_seed
from .paired_t import PairedT, SeedSummary, paired_t_test, seed_summary
from .results import Result
from .wilcoxon import WilcoxonTest, wilcoxon_test


@dataclass(frozen=True, kw_only=True)
class AllTests(Result):
    """First arm against second on one test set. Headline: `balanced_accuracy`, the paper's metric.

    Attributes:
        first: First arm's accuracy over seeds; second: the second arm's.
        accuracy: Crossed test of accuracy; balanced_accuracy: of balanced accuracy.
        samples_only: Accuracy for these very models on new samples, valid from one seed on.
        seeds_only: Paired t over seeds, on this test set.
        signed_rank: Wilcoxon over seeds.
        mcnemar: McNemar of each seed.
        bootstrap: Balanced-accuracy bootstrap: of slides where known, else within class.
        clustered: Slide-clustered OLS; None if slides were not given.
        outperforming: How often the first arm is above.
    """

    first: SeedSummary
    second: SeedSummary
    accuracy: CrossedTest
    balanced_accuracy: CrossedTest
    samples_only: SamplesOnlyTest
    seeds_only: PairedT
    signed_rank: WilcoxonTest
    mcnemar: McNemarRange
    bootstrap: BootstrapDifference
    clustered: ClusteredDifference | None
    outperforming: Outperforming


def compare(
    first: ArrayLike,
    second: ArrayLike,
    classes: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> AllTests:
    """Compares two arms that share seeds and samples; `seed` is the bootstrap's.

    Raises:
        InputError: Shapes that do not fit, values other than 0 and 1, or missing labels.
    """
    one, two = pair_of_arms(first, second)
    score_one, score_two = one.mean(axis=1), two.mean(axis=1)
    accuracy = crossed_test(one, two, clusters=clusters)
    if clusters is None:
        bootstrap = stratified_bootstrap(one, two, classes, n_resamples=n_resamples, seed=seed)
    else:
        bootstrap = cluster_bootstrap(
            one, two, clusters, classes=classes, n_resamples=n_resamples, seed=seed
        )
    return AllTests(
        first=seed_summary(score_one),
        second=seed_summary(score_two),
        accuracy=accuracy,
        balanced_accuracy=crossed_test(one, two, classes=classes, clusters=clusters),
        samples_only=samples_only_test(one, two, clusters=clusters),
        seeds_only=paired_t_test(score_one, score_two),
        signed_rank=wilcoxon_test(score_one - score_two),
        mcnemar=mcnemar_per_seed(one, two),
        bootstrap=bootstrap,
        clustered=None if clusters is None else clustered_difference(one, two, clusters),
        outperforming=probability_of_outperforming(score_one, score_two),
        refused=accuracy.refused,
        warnings=accuracy.warnings,
    )

import time

import numpy as np

from clipit_eva.analysis.significance import auc_cluster_bootstrap, crossed_test

CELLS, SEEDS, PCAM_TEST_SIZE, SLIDES = 54, 5, 32_768, 100


def best_of(repeats, function):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def test_the_headline_of_a_whole_report_is_cheap():
    rng = np.random.default_rng(0)
    first, second = (rng.random((SEEDS, PCAM_TEST_SIZE)) < 0.9 for _ in range(2))
    y, slides = rng.integers(0, 2, PCAM_TEST_SIZE), rng.integers(0, SLIDES, PCAM_TEST_SIZE)

    def cell():
        crossed_test(first, second, clusters=slides)
        crossed_test(first, second, classes=y, clusters=slides)

    # A report may take 60 s; its headline tests must stay far below.
    assert CELLS * best_of(3, cell) < 10


def test_an_auc_bootstrap_of_one_cell_takes_seconds_not_minutes():
    rng = np.random.default_rng(1)
    y, slides = rng.integers(0, 2, PCAM_TEST_SIZE), rng.integers(0, SLIDES, PCAM_TEST_SIZE)
    scores = rng.normal(0, 1, (2, SEEDS, PCAM_TEST_SIZE)) + y
    assert best_of(1, lambda: auc_cluster_bootstrap(y, *scores, slides)) < 10

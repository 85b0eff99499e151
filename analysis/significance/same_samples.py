"""Runs may be compared only on the same samples, in the same order, with the same labels."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from clipit_eva.errors import InputError


def check_aligned(ids: Mapping[str, ArrayLike], targets: Mapping[str, ArrayLike]) -> None:
    """Checks that all runs predict the same samples.

    Args:
        ids: Sample ids of each run, by the run's name, in the order of its predictions.
        targets: True classes of each run, by the run's name.

    Raises:
        InputError: A run without targets, a repeated id within a run, or a run that differs from
            the first one in its ids, their order or their labels; names the run and the sample.
    """
    if set(ids) != set(targets):
        odd = sorted(set(ids) ^ set(targets))[0]
        raise InputError(f"run {odd}: give both sample ids and targets for every run")
    reference_name = next(iter(ids), None)
    if reference_name is None:
        return
    reference_ids = np.asarray(ids[reference_name])
    reference_targets = np.asarray(targets[reference_name])
    for name in ids:
        run_ids, run_targets = np.asarray(ids[name]), np.asarray(targets[name])
        if run_ids.shape != run_targets.shape:
            raise InputError(f"run {name}: {len(run_ids)} sample ids, {len(run_targets)} targets")
        unique, counts = np.unique(run_ids, return_counts=True)
        if (counts > 1).any():
            raise InputError(f"run {name}: sample {unique[counts > 1][0]} is predicted twice")
        if run_ids.shape != reference_ids.shape or (run_ids != reference_ids).any():
            raise InputError(
                f"run {name} does not predict the samples of run {reference_name} in the same "
                f"order ({len(run_ids)} and {len(reference_ids)}): align both by sample id"
            )
        wrong = run_targets != reference_targets
        if wrong.any():
            raise InputError(
                f"run {name} and run {reference_name} disagree on the label of sample "
                f"{run_ids[wrong][0]}: they were made for different targets"
            )

"""What a search tries next, given what came out so far: Optuna, in memory."""

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from .search_results import Trial
from .search_settings import Choices, Interval, SearchSettings, Value

_ENOUGH = 8  # finished trials, below which a forest that is fitted to them says nothing


def propose(
    settings: SearchSettings, trials: Sequence[Trial], count: int
) -> list[Mapping[str, Value]]:
    """Returns the settings of the next trials, which are to run at once.

    They depend on nothing but the arguments, so that a search that is resumed tries the same as
    one that was not interrupted. By TPE (Bergstra et al., NeurIPS 2011): multivariate, because
    rank and alpha act by their ratio; trials of one call count as bad for each other.

    `trials` are all so far, in order.
    """
    study = _study(settings, trials)
    found = []
    for index in range(len(trials), len(trials) + count):
        seed = int(np.random.SeedSequence((settings.seed, index)).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=settings.startup, seed=seed, multivariate=True, constant_liar=True
            )
        found.append(study.ask(_space(settings)).params)
    return found


def importance_of(settings: SearchSettings, trials: Iterable[Trial]) -> dict[str, float]:
    """Returns the share of the metric's variance that each variable explains.

    By functional ANOVA over a random forest (Hutter et al., ICML 2014), as Optuna has it; failed
    trials do not count.

    Returns:
        Shares by variable, most first, which add up to 1; empty if too few trials differ.
    """
    finished = [trial for trial in trials if trial.values]
    if len(finished) < _ENOUGH or len({trial.value for trial in finished}) < 2:
        return {}
    try:
        found = get_param_importances(
            _study(settings, finished), evaluator=FanovaImportanceEvaluator(seed=settings.seed)
        )
    except (RuntimeError, ValueError):  # no tree of the forest has a split
        return {}
    return {name: float(share) for name, share in found.items()}


def _study(settings: SearchSettings, trials: Iterable[Trial]) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=settings.direction)
    state = optuna.trial.TrialState
    for trial in trials:
        seen = optuna.trial.create_trial(
            state=state.COMPLETE if trial.values else state.FAIL,
            value=trial.value if trial.values else None,
            params=dict(trial.settings),
            distributions=_space(settings),
        )
        study.add_trial(seen)
    return study


def _space(settings: SearchSettings) -> dict[str, BaseDistribution]:
    return {name: _distribution(dimension) for name, dimension in settings.space.items()}


def _distribution(dimension: Choices | Interval) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    low, high, log, step = dimension.low, dimension.high, dimension.log, dimension.step
    if dimension.whole:
        return IntDistribution(int(low), int(high), log, int(step or 1))
    return FloatDistribution(float(low), float(high), log, step)

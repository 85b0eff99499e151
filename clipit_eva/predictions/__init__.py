"""The predictions table and the callback that writes it."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__, {"PredictionsWriter": "clipit_eva.predictions.predictions_writer"}
)

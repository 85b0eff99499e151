"""Figures of a paper. Every function takes `ax=None` and returns the axes that it drew on."""

from clipit_eva import _lazy

_MODULES = {
    "complementarity_figures": ("plot_complementarity",),
    "gain_figures": ("plot_gains", "plot_slopes", "plot_forest", "plot_replaced"),
    "decision_figures": ("plot_confusion", "plot_flips", "plot_calibration"),
    "training_figures": ("plot_learning", "plot_alignment"),
}

__getattr__ = _lazy.attach(
    __name__,
    {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names},
)

"""Figures of a paper.

Every function draws on the axes `ax` (None: those of a new figure), under the title `title`, and
returns the axes. A frame that it takes is one of `analysis.frames`, or has the columns named.
"""

from clipit_eva import _lazy

_MODULES = {
    "complementarity_figures": ("plot_complementarity",),
    "gain_figures": ("plot_contrasts", "plot_slopes", "plot_forest", "plot_replaced"),
    "decision_figures": ("plot_confusion", "plot_flips", "plot_calibration"),
    "training_figures": ("plot_learning", "plot_alignment"),
}

__getattr__ = _lazy.attach(
    __name__,
    {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names},
)

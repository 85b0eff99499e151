"""One report of a folder of runs: tables, figures and a page, from saved files alone."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "Options": f"{__name__}.content",
        "Study": f"{__name__}.content",
        "make_study": f"{__name__}.content",
        "write_report": f"{__name__}.report_files",
    },
)

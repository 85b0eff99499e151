"""One report of a folder of runs: tables, figures and a page, from saved files alone."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "Contents": f"{__name__}.content",
        "Options": f"{__name__}.sections",
        "Section": f"{__name__}.sections",
        "contrasts_of": f"{__name__}.sentences",
        "make_contents": f"{__name__}.content",
        "write_report": f"{__name__}.report_files",
    },
)

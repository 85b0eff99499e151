"""Datasets: the paired report on any eva dataset, hold-outs, few labels, folders of images."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "EmbeddedDataset": "clipit_eva.data.embedded",
        "FewLabels": "clipit_eva.data.few_labels",
        "HoldOut": "clipit_eva.data.hold_out",
        "ImageFolder": "clipit_eva.data.image_folder",
        "PairedDataset": "clipit_eva.data.paired",
        "PairedTextDataset": "clipit_eva.data.paired_text",
    },
)

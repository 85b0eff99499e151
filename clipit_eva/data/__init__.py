"""Datasets: the paired report on any of eva's, hold-outs, few labels, augmentation, own images."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "Augmented": "clipit_eva.data.augmented",
        "EmbeddedDataset": "clipit_eva.data.embedded",
        "FewLabels": "clipit_eva.data.few_labels",
        "HoldOut": "clipit_eva.data.hold_out",
        "ImageFolder": "clipit_eva.data.image_folder",
        "LabelledImages": "clipit_eva.data.labelled_images",
        "PairedDataset": "clipit_eva.data.paired",
        "PairedTextDataset": "clipit_eva.data.paired_text",
    },
)

"""CLIP-IT as a plugin of kaiko-eva (Karimian et al., arXiv 2504.16181).

Names are resolved on first use, so that importing the package (and answering `clipit-eva --help`)
does not import torch.
"""

from importlib import metadata

from clipit_eva import _lazy
from clipit_eva.eva import activation

__version__ = metadata.version("clipit-eva")

activation.activate_in_eva()

__getattr__ = _lazy.attach(
    __name__,
    {
        "CLIPITModule": "clipit_eva.models.clipit_module",
        "InputError": "clipit_eva.errors",
    },
)

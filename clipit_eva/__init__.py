"""CLIP-IT as a plugin of kaiko-eva (Karimian et al., arXiv 2504.16181).

Names are resolved on first use, so that importing the package (and answering `clipit-eva --help`)
does not import torch.
"""

import importlib
from typing import Any

_EXPORTS = {
    "CLIPITModule": "clipit_eva.models.clipit_module",
    "InputError": "clipit_eva.errors",
}

__all__ = ["CLIPITModule", "InputError"]  # noqa: F822 (resolved by __getattr__)


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("clipit-eva")
    if name not in _EXPORTS:
        raise AttributeError(f"module 'clipit_eva' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)

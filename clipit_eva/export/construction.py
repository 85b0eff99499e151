"""Objects from the configuration that a run recorded."""

import importlib
from collections.abc import Mapping
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva import activation

PACKAGES = ("clipit_eva", "eva", "timm", "torch", "torchvision")
"""Packages whose classes are made: a run's folder may come from someone else."""

SECRET = "***"
"""What a recorded configuration has in place of a secret."""


def build(description: Any) -> Any:
    """Returns the object of a nested `class_path` and `init_args`, or a plain value as it is.

    Secrets, which are not recorded, are left out of the arguments.

    Raises:
        InputError: A class is not of `PACKAGES`.
    """
    activation.register_backbones()
    if isinstance(description, list):
        return [build(item) for item in description]
    if not isinstance(description, Mapping):
        return description
    if "class_path" not in description:
        return {name: build(value) for name, value in description.items()}
    module, _, name = description["class_path"].rpartition(".")
    if module.partition(".")[0] not in PACKAGES:
        raise InputError(
            f"the run was made with {description['class_path']}; export makes classes of "
            f"{', '.join(PACKAGES)} only"
        )
    arguments = description.get("init_args", {}).items()
    given = {key: build(value) for key, value in arguments if value != SECRET}
    return getattr(importlib.import_module(module), name)(**given)

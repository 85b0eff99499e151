"""Task cards: what the templates of methods have to know of a task."""

import dataclasses
import inspect
import re
import reprlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from clipit_eva.errors import InputError

FOLDER = Path(str(resources.files("clipit_eva.benchmark_configs")))
"""The folder of cards (`tasks/`), templates (`methods/`) and the configs rendered from them."""

METHODS = FOLDER / "methods"
"""The templates of the shipped methods."""

PROMPTS = "prompts:"
"""`REPORTS=prompts:bach` means that card's words, in the place of reports."""

_PARTS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """A classification task of images, as `read_card` reads it from YAML.

    Attributes:
        title: Its name in comments.
        dataset: Class path of an eva vision dataset with the arguments `root`, `split` and
            `transforms`.
        splits: The dataset's split that is `train`, `val` (selects the model) and `test`. Without
            `val`, a stratified hold-out of `train` selects it.
        classes: Names of the classes, at least two, in the dataset's order.
        metric: What the model is selected by, the larger the better, such as
            `val/MulticlassAccuracy`.
        patience: Validations without a better metric after which training stops, at least 1.
        binary: Whether one logit, of the second of two classes, stands for both.
        words: For each class, what it is called in prose; the prompts of `REPORTS=prompts:TASK`.
        arguments: Further arguments of the dataset.
        download: Where the dataset is downloaded from, if its class has an argument `download`.
        licence: The dataset's licence.
        labels_per_class: Labelled training images of each class, at least 1; None for all.
        steps_between_validations: Training steps after which is validated, at least 1; None for an
            epoch.
        probe_patience: The patience of the linear probe, if another.
        probe_cosine_schedule: Whether the linear probe's learning rate falls as a cosine.
        authors_hold_out_every: In the authors' recipe each sample of `train` whose index this
            divides selects the model, instead of a stratified hold-out; at least 2.
        authors_augmentation: The `AUGMENTATION` of the authors' recipe.
        authors_clip_transforms: Whether the authors' recipe transforms images as the CLIP model
            does.
    """

    title: str
    dataset: str
    splits: dict[str, str]
    classes: list[str]
    metric: str
    patience: int
    binary: bool = False
    words: dict[str, list[str]] | None = None
    arguments: dict[str, Any] | None = None
    download: str | None = None
    licence: str | None = None
    labels_per_class: int | None = None
    steps_between_validations: int | None = None
    probe_patience: int | None = None
    probe_cosine_schedule: bool = False
    authors_hold_out_every: int | None = None
    authors_augmentation: str | None = None
    authors_clip_transforms: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str) and not (value.strip() and value.isprintable()):
                raise InputError(f"{name} has to be one line of text")
        for part in dict.fromkeys([*self.splits, "train", "test"]):
            if part not in _PARTS:
                raise InputError(f"splits: unknown part {part!r}; they are {', '.join(_PARTS)}")
            if part not in self.splits:
                raise InputError(f"splits lacks {part!r}; name the dataset's split")
        if not 2 <= len(self.classes) == len(set(self.classes)):
            raise InputError("classes has to name two or more, each once")
        if self.binary and len(self.classes) != 2:
            raise InputError(f"binary: there are {len(self.classes)} classes, not 2; leave it out")
        if self.words is not None and set(self.words) != set(self.classes):
            other = sorted(set(self.words) ^ set(self.classes))
            raise InputError(
                f"words and classes name different classes: {', '.join(other)}; mend one"
            )
        for name in ("patience", "probe_patience", "labels_per_class", "steps_between_validations"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}: {value} must be at least 1")


def shipped_cards() -> dict[str, Path]:
    """Returns the files of the shipped cards by task, in alphabetical order."""
    return {path.stem: path for path in sorted((FOLDER / "tasks").glob("*.yaml"))}


def read_card(path: Path) -> Card:
    """Reads a task's card; the file's stem is the task's name.

    References such as `${oc.env:NAME}` are kept as they stand.

    Raises:
        InputError: The file is missing, its name would not do in a path, it is no mapping, or a
            key is unknown, missing or of the wrong type. Names the file and the key.
    """
    if not path.is_file():
        raise InputError(f"task card {path} does not exist; the shipped ones lie in {FOLDER}/tasks")
    if not re.fullmatch(r"[\w.-]+", path.stem):
        raise InputError(f"task card {path}: its name has to be of letters, digits and _ . -")
    try:
        content = _load(path)
        _check(content)
        return Card(**content)
    except InputError as error:
        raise InputError(f"task card {path}: {error}") from None


def _load(path: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        content = OmegaConf.to_container(OmegaConf.load(path))  # refuses a key that is given twice
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error}); mend it") from None
    if not isinstance(content, dict):
        raise InputError("is no mapping of keys to values; see the shipped cards")
    return content  # type: ignore[return-value]


def _check(content: Mapping[str, Any]) -> None:
    """Refuses unknown keys, missing ones and values of another type than the field's."""
    hints = get_type_hints(Card)
    for name, value in content.items():
        if name not in hints:
            raise InputError(f"unknown key {name!r}; the keys are {', '.join(hints)}")
        if not _fits(value, hints[name]):
            hint = inspect.formatannotation(hints[name])
            raise InputError(f"{name} has to be of type {hint}, not {reprlib.repr(value)}")
    for field in dataclasses.fields(Card):
        if field.default is dataclasses.MISSING and field.name not in content:
            raise InputError(f"lacks {field.name!r}; add it")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of YAML is of a field's type; nothing is converted (`no` is no text)."""
    inner = get_args(hint)
    if get_origin(hint) is UnionType:
        return any(_fits(value, one) for one in inner)
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(
            _fits(key, inner[0]) and _fits(item, inner[1]) for key, item in value.items()
        )
    return hint is Any or type(value) is hint

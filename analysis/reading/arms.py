"""Which arm of an experiment a run belongs to: what its settings differ in from the base."""

import collections
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.tasks import configs

from .run_settings import (
    AUTHORS,
    BRANCH_OF_METHOD,
    CLIP_IT,
    OF_TEXT,
    TEXT_ONLY,
    UNIMODAL,
    Settings,
    idle,
    settings_of,
)

LABELS = {
    UNIMODAL: "unimodal",
    TEXT_ONLY: "text only",
    CLIP_IT: "CLIP-IT",
    AUTHORS: "CLIP-IT by the authors' recipe",
}
"""Names of the methods in print."""

RECIPES = {CLIP_IT: "this package's", AUTHORS: "the authors'"}
"""What CLIP-IT is trained by."""

NO_TEXT = "no_text"  # the ablation with the same layers that reads no report
SHUFFLED = "shuffled_pairs"  # the control that keeps the reports and breaks the link to images
REPLACED = "replaced_pairs_"  # arms with a share of the pairs replaced; the percentage follows
Part = tuple[str, str]  # a difference's name in files, and in print


@dataclass(frozen=True)
class Arm:
    """An arm: what its runs share besides dataset, backbone and seed.

    Attributes:
        name: Name in files and columns, such as `no_text`.
        label: Name in print.
        method: What it is or varies: a key of `LABELS`, or the class of a baseline's model.
        without_text: Name of CLIP-IT's arm with the same layers that reads no report.
    """

    name: str
    label: str
    method: str = CLIP_IT
    without_text: str = NO_TEXT

    @property
    def order(self) -> tuple[int, str]:
        """Orders arms: the three methods first, then by name."""
        names = tuple(LABELS)
        return (names.index(self.name) if self.name in names else len(names), self.name)

    @property
    def setting_and_share(self) -> tuple[str, float]:
        """The name of the same arm on untouched pairs, and the share replaced at random."""
        parts = self.name.split("+")
        shares = [float(p.removeprefix(REPLACED)) / 100 for p in parts if p.startswith(REPLACED)]
        others = [part for part in parts if not part.startswith(REPLACED)]
        return "+".join(others) or CLIP_IT, sum(shares)


def _percent(name: str, words: str) -> Callable[[Any], Part]:
    return lambda share: (f"{name}{100 * share:g}", words.format(f"{100 * share:g}%"))


def _value(words: str) -> Callable[[Any], Part]:
    """Names a difference by words and its value."""

    def part(value: Any) -> Part:
        shown = f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"
        return shown.replace(" ", "_").replace("+", "_").lower(), shown

    return part


def _either(yes: Part, no: Part) -> Callable[[Any], Part]:
    return lambda on: yes if on else no


_HEAD = _value("vision head")
_LABELS: dict[str, Callable[[Any], Part]] = {
    "no_text": lambda _: (NO_TEXT, "no text (same layers)"),
    "pairing.prompts": lambda _: ("class_prompts", "class prompts instead of reports"),
    "pairing.control": lambda control: (f"{control}_pairs", f"{control} pairs"),
    "pairing.replaced_share": _percent(REPLACED, "{} of pairs replaced at random"),
    "model.word_dropout": _percent("word_dropout_", "{} of report words dropped"),
    "model.lora.text": _either(("text_lora", "text LoRA"), ("no_text_lora", "no text LoRA")),
    "model.text_gradient": _either(
        ("text_gradient", "text gradient"),
        ("stop_gradient", "stop-gradient (the text encoder gets none)"),
    ),
    "model.lora.vision": _either(("lora", "LoRA"), ("no_lora", "no LoRA (frozen backbone)")),
    "model.lora.rank": _value("rank"),
    "model.lora.alpha": _value("alpha"),
    "model.lora.dropout": _value("LoRA dropout"),
    "model.lora.targets": _value("targets"),
    "labels.seed": _value("labels seed"),
    "labels.unlabelled": _value("unlabelled images"),
    "model.distillation": _value("distillation"),
    "model.distill_weight": _value("lambda"),
    "model.optimizer.lr": _value("learning rate"),
    "model.criterion": _value("criterion"),
    "model.criterion.class": _value("criterion"),
    "model.vision_head_checkpoint": _either(_HEAD("from unimodal"), _HEAD("from scratch")),
    "model.vision_head_lora": _value("vision head LoRA"),
    "top_k": _value("top-k"),
    "pairing.policy": _value("pairing"),
    "reports.clip_model": _value("CLIP model"),
    "reports.policy": _value("report policy"),
    "data.dataloaders.train.batch_size": _value("batch size"),
    "trainer.max_steps": _value("steps"),
}
"""How differences are named, in this order; others by the last words of the setting."""

_FULL: Settings = {
    "no_text": False,
    "pairing.prompts": False,
    "pairing.control": None,
    "pairing.replaced_share": 0,
    "model.word_dropout": 0,
    "model.text_gradient": True,
}
"""What the methods are by definition: another value ablates or controls them, however many runs
share it."""


def resolve(runs: Sequence[tuple[str, Settings]], plain: Sequence[bool] | None = None) -> list[Arm]:
    """Names the arm of each run of one dataset and backbone.

    A method's base are the settings of the plain runs of its plan, or else of each setting the
    value that most of its arms have; where two values are as frequent, the shipped config's.
    Settings that all runs share name no arm. Text-only runs are named after what differs from full
    CLIP-IT in what both read.

    Args:
        runs: Method and settings of all runs of one dataset and backbone.
        plain: Which of them a plan trains as the methods themselves; `None` if nothing tells.

    Raises:
        InputError: Several combinations of settings and none is the shipped one: which of them is
            the headline must not be decided by looking at results.
    """
    completed = [(method, _completed(method, settings)) for method, settings in runs]
    plain = plain or [False] * len(runs)
    bases: dict[str, Settings] = {}
    for method in sorted({name for name, _ in runs}, key=lambda name: name != CLIP_IT):
        mine = [(own, is_plain) for (name, own), is_plain in zip(completed, plain, strict=True)
                if name == method]  # fmt: skip
        known = [own for own, is_plain in mine if is_plain] or [own for own, _ in mine]
        bases[method] = _base(method, known)
        if method == TEXT_ONLY:
            read = {k: v for k, v in bases.get(CLIP_IT, {}).items() if k.startswith(_OF_PAIRS)}
            bases[method] = {**bases[method], **read}
    return [_arm(method, settings, bases[method]) for method, settings in completed]


_OF_RECIPE = (
    "no_text", "model.lora.", "model.criterion", "model.distill", "model.word_dropout",
    "model.text_gradient", "model.optimizer.lr", "model.optimizer.weight_decay",
    "model.vision_head_lora", "data.dataloaders.train.batch_size", "trainer.max_steps",
    "trainer.max_epochs", "trainer.gradient_clip_val",
)  # fmt: skip
"""Beginnings of the names of settings that make a recipe; it has them alike on all tasks."""


def recipe_of(method: str, settings: Settings) -> str | None:
    """Returns whose recipe a run followed, and in what it did not; None of other methods."""
    if method not in RECIPES:
        return None
    shipped = {**_shipped(method), "no_text": False}
    changed = {
        key: value
        for key, value in _completed(method, settings).items()
        if key.startswith(_OF_RECIPE) and value != shipped.get(key)
    }
    return ", ".join([RECIPES[method], *(label for _, label in _parts(changed))])


_OF_PAIRS = ("pairing.", "reports.", "top_k")


def _completed(method: str, settings: Settings) -> Settings:
    """Returns settings with those of the model and the pairs that they do not name as shipped."""
    no_text = method in RECIPES and settings.get("model.distill_weight") == 0
    shipped = {k: v for k, v in _shipped(method).items() if k.startswith(("model.", *_OF_PAIRS))}
    completed = {**shipped, **settings, "no_text": no_text}
    if no_text:
        del completed["model.distill_weight"]
    skipped = idle(settings)
    return {key: value for key, value in completed.items() if not key.startswith(skipped)}


def _arm(method: str, settings: Settings, base: Settings) -> Arm:
    parts = _parts(_differences(settings, base))
    if method != CLIP_IT:
        parts = [(method, LABELS.get(method, method)), *parts]
        return Arm(_joined(parts), ", ".join(label for _, label in parts), method)
    parts = parts or [(CLIP_IT, LABELS[CLIP_IT])]
    without_text = _joined(_parts(_differences({**settings, "no_text": True}, base)))
    return Arm(_joined(parts), ", ".join(label for _, label in parts), method, without_text)


def _joined(parts: Sequence[Part]) -> str:
    return "+".join(name for name, _ in parts)


def _differences(settings: Settings, base: Settings) -> dict[str, Any]:
    """Returns the settings that are other than the base's, and have an effect in both."""
    different = {
        key: settings.get(key)
        for key in settings.keys() | base.keys()
        if settings.get(key) != base.get(key) and not key.startswith(_skipped(settings))
    }
    if any(key.startswith(("reports.preparation.", "pairing.prompts")) for key in different):
        different.pop("pairing.reports", None)  # other texts, as that says already
    return different


def _skipped(settings: Settings) -> tuple[str, ...]:
    """Returns the beginnings of the names of settings in which a run differs from no other."""
    return idle(settings) + (("model.distill_weight", *OF_TEXT) if settings["no_text"] else ())


def _parts(different: Mapping[str, Any]) -> list[Part]:
    """Names differences, each once: a transform of three datasets differs in one setting."""
    known = list(_LABELS)
    values: dict[str, set[Any]] = {}
    for key, value in different.items():
        values.setdefault(key.rpartition(".")[2], set()).add(value)
    parts, prepared = [], {}
    for key in sorted(different, key=lambda k: (known.index(k) if k in known else len(known), k)):
        short = key.rpartition(".")[2]
        if key.startswith("reports.preparation."):
            prepared[short] = different[key]
        else:
            words = (short if len(values[short]) == 1 else key).replace("_", " ")
            parts.append(_LABELS.get(key, _value(words))(different[key]))
    if prepared:
        shown = " ".join(f"{name} {str(value).lower()}" for name, value in prepared.items())
        parts.append(_value("reports")(shown))
    return list(dict.fromkeys(parts))


def _base(method: str, runs: Sequence[Settings]) -> Settings:
    """Returns the settings of a method's full arm."""
    shipped = {**_shipped(method), "no_text": False}
    arms = list({tuple(sorted(run.items())): run for run in runs}.values())
    base = {}
    for key in {key for arm in arms for key in arm}:
        counted = [arm.get(key) for arm in arms if not key.startswith(_skipped(arm))]
        values = collections.Counter(counted)
        most = [value for value, count in values.most_common() if count == max(values.values())]
        base[key] = most[0] if len(most) == 1 else shipped.get(key)
    base |= {key: value for key, value in _FULL.items() if value is not None and key in base}
    base.pop("pairing.control", None)
    full = [arm for arm in arms if all(arm.get(key, off) == off for key, off in _FULL.items())]
    others = [_differences(arm, base) for arm in full]
    if not others or {} in others:
        return base
    if len(others) > 1:
        listed = "; ".join(sorted(", ".join(label for _, label in _parts(one)) for one in others))
        raise InputError(
            f"several settings of {LABELS.get(method, method)} ({listed}) and none is the default: "
            "which one is the headline must be fixed beforehand; report each in a folder of its own"
        )
    return {**base, **others[0]}


@functools.cache
def _shipped(method: str) -> Settings:
    """Returns a method's settings as shipped; CLIP-IT's vision head starts from a unimodal run."""
    if method not in LABELS:
        return {}
    config = RecordedConfig(configs.resolved(configs.path(f"{method}/bach"), {}))
    settings = settings_of(config, BRANCH_OF_METHOD[method])
    return {**settings, "model.vision_head_checkpoint": method in RECIPES}

"""Which arm of an experiment a run belongs to, read off the configuration that it ran with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipit_eva.errors import InputError

UNIMODAL, TEXT_ONLY, CLIP_IT = "unimodal", "text_only", "clip_it"

METHOD_OF_BRANCH = {"vision": UNIMODAL, "text": TEXT_ONLY, "fused": CLIP_IT}
"""Method of a run, by the branch that its prediction rests on."""

LABELS = {UNIMODAL: "unimodal", TEXT_ONLY: "text only", CLIP_IT: "CLIP-IT"}
"""Names of the methods in print."""

RECIPE = {
    "rank": 16,
    "alpha": 8,
    "LoRA dropout": 0,
    "targets": "Linear",
    "lambda": 1,
    "top-k": 1,
    "learning rate": 0.001,
    "vision head LoRA": False,
}
"""The settings that "CLIP-IT" without further words stands for (the shipped configs' defaults)."""

Part = tuple[str, str]
"""A factor's name in files, and in print."""


@dataclass(frozen=True)
class Traits:
    """What a run's configuration says about its arm.

    Attributes:
        method: `unimodal`, `text_only` or `clip_it`.
        factors: What the run ablates or controls; empty for the full method.
        settings: CLIP-IT's settings that have an effect here, by name, those of `RECIPE`.
    """

    method: str
    factors: tuple[Part, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def deviations(self) -> tuple[tuple[str, Any], ...]:
        """Settings that are not the recipe's."""
        return tuple((name, value) for name, value in self.settings if RECIPE[name] != value)


@dataclass(frozen=True)
class Arm:
    """An arm: what its runs share besides dataset, backbone and seed.

    Attributes:
        name: Name in files and columns, such as `no_text`.
        label: Name in print.
    """

    name: str
    label: str

    @property
    def order(self) -> tuple[int, str]:
        """Orders arms: the three methods first, then by name."""
        names = tuple(LABELS)
        return (names.index(self.name) if self.name in names else len(names), self.name)


def traits(
    config: Mapping[str, Any], branch: str, pairing: Mapping[str, Any] | None = None
) -> Traits:
    """Reads a run's traits off its configuration.

    Args:
        config: `config` of a predictions table's provenance.
        branch: The branch that the run's prediction rests on.
        pairing: Provenance of the run's pairing table, if known: tells controls (`control`, a
            word such as `shuffled`; `replaced_share`, in [0, 1]) from real pairs.
    """
    method = METHOD_OF_BRANCH[branch]
    model = _part(config, "model")
    factors = list(_pairs(pairing or {}))
    if method == UNIMODAL:
        return Traits(method, tuple(_other_model(model)))
    arguments = _part(model, "init_args")
    if method == TEXT_ONLY:
        return Traits(method, tuple(factors))
    lora = _part(_part(arguments, "lora"), "init_args") or _part(arguments, "lora")
    without_text = float(arguments.get("distill_weight", 1)) == 0
    if without_text:
        factors = [("no_text", "no text (same layers)")]
    if lora.get("vision") is False:
        factors.append(("no_lora", "no LoRA (frozen backbone)"))
    dropped = float(arguments.get("word_dropout") or 0)
    if dropped and not without_text:
        percent = f"{100 * dropped:g}"
        factors.append((f"word_dropout_{percent}", f"{percent}% of report words dropped"))
    if lora.get("text") is True and not without_text:
        factors.append(("text_lora", "text LoRA"))
    return Traits(method, tuple(factors), tuple(_settings(config, arguments, lora)))


def resolve(runs: Sequence[Traits]) -> list[Arm]:
    """Names the arm of each run of one dataset and backbone.

    CLIP-IT's full arm has the recipe's settings; if no run has them, the one combination of
    settings that is there. Other settings are named after what differs from the full arm.

    Args:
        runs: Traits of all runs of one dataset and backbone.

    Raises:
        InputError: Several combinations of settings and none is the recipe's: which of them is
            the headline must not be decided by looking at results.
    """
    base = _base(runs)
    arms = []
    for run in runs:
        parts = list(run.factors)
        own = dict(run.settings)
        for name in RECIPE:
            value = own.get(name, base.get(name, RECIPE[name]))
            if run.method == CLIP_IT and name in own and value != base.get(name, RECIPE[name]):
                words = _words([(name, value)])
                parts.append((words.replace(" ", "_").replace("+", "_").lower(), words))
        arms.append(_arm(run.method, parts))
    return arms


def _arm(method: str, parts: Sequence[Part]) -> Arm:
    """Returns the arm of a method with some factors."""
    if not parts:
        return Arm(method, LABELS[method])
    names = [name for name, _ in parts]
    labels = [label for _, label in parts]
    if method == CLIP_IT:
        return Arm("+".join(names), ", ".join(labels))
    return Arm("+".join([method, *names]), ", ".join([LABELS[method], *labels]))


def _base(runs: Sequence[Traits]) -> dict[str, Any]:
    """Returns the settings of CLIP-IT's full arm that are not the recipe's."""
    full = {run.deviations for run in runs if run.method == CLIP_IT and not run.factors}
    if not full or () in full:
        return {}
    if len(full) > 1:
        listed = "; ".join(sorted(_words(deviations) for deviations in full))
        raise InputError(
            f"several settings of CLIP-IT ({listed}) and none is the default: which one is the "
            "headline must be fixed beforehand; report each in a folder of its own"
        )
    return dict(full.pop())


def _words(settings: Sequence[tuple[str, Any]]) -> str:
    """Returns settings in words, such as "rank 8, learning rate 0.0003"."""
    shown = [(n, f"{v:g}" if isinstance(v, float) else v) for n, v in settings]
    return ", ".join(f"{name} {value}" for name, value in shown)


def _pairs(pairing: Mapping[str, Any]) -> Iterator[Part]:
    """Yields the control that a pairing table's provenance declares."""
    control = pairing.get("control")
    if isinstance(control, str) and control:
        yield f"{control}_pairs", f"{control} pairs"
    share = float(pairing.get("replaced_share") or 0)
    if share:
        percent = f"{100 * share:g}"
        yield f"replaced_pairs_{percent}", f"{percent}% of pairs replaced at random"


def _other_model(model: Mapping[str, Any]) -> Iterator[Part]:
    """Yields the class of a vision model that is not eva's linear probe."""
    name = str(model.get("class_path", "HeadModule")).rpartition(".")[2]
    if name != "HeadModule":
        yield name, name


def _settings(
    config: Mapping[str, Any], arguments: Mapping[str, Any], lora: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yields the settings that have an effect; missing ones are the recipe's."""
    if lora.get("vision") is not False or lora.get("text") is True:
        yield "rank", int(lora.get("rank", RECIPE["rank"]))
        yield "alpha", float(lora.get("alpha", RECIPE["alpha"]))
        yield "LoRA dropout", float(lora.get("dropout", RECIPE["LoRA dropout"]))
        targets = lora.get("targets") or RECIPE["targets"]
        yield "targets", targets if isinstance(targets, str) else "+".join(map(str, targets))
    weight = float(arguments.get("distill_weight", 1))
    if weight:
        yield "lambda", weight
        train = _part(_part(config, "data", "init_args", "datasets", "init_args"), "train")
        yield "top-k", int(_part(train, "init_args").get("top_k") or RECIPE["top-k"])
    optimizer = _part(arguments, "optimizer", "init_args")
    yield "learning rate", float(optimizer.get("lr", RECIPE["learning rate"]))
    yield "vision head LoRA", bool(arguments.get("vision_head_lora", False))


def _part(mapping: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Returns a nested mapping, empty where there is none."""
    value: Any = mapping
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}

"""Which arm of an experiment a run belongs to, read off the configuration that it ran with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import CONTROLS
from clipit_eva.reports.prompts import PREFIX as PROMPTS

UNIMODAL, TEXT_ONLY, CLIP_IT = "unimodal", "text_only", "clip_it"

METHOD_OF_BRANCH = {"vision": UNIMODAL, "text": TEXT_ONLY, "fused": CLIP_IT}
"""Method of a run, by the branch that its prediction rests on."""

LABELS = {UNIMODAL: "unimodal", TEXT_ONLY: "text only", CLIP_IT: "CLIP-IT"}
"""Names of the methods in print."""

TEXT_RECIPE = {
    "top-k": 1,
    "pairing": "nearest",
    "CLIP model": "conch",
    "report policy": "truncate",
    "reports": "unprepared",
}
"""The settings of the pairs, which text-only runs share with CLIP-IT."""

RECIPE = {
    "rank": 16,
    "alpha": 8,
    "LoRA dropout": 0,
    "targets": "Linear",
    "lambda": 1,
    "learning rate": 0.001,
    "criterion": "cross_entropy",
    "vision head": "from unimodal",
    "vision head LoRA": False,
    **TEXT_RECIPE,
}
"""The settings that "CLIP-IT" without further words stands for, where runs differ in them."""

CROSS_ENTROPIES = (None, "cross_entropy", "binary_cross_entropy")
"""The default criterion of multiclass and binary tasks: one setting."""

NO_TEXT = "no_text"
"""Name of the ablation with the same layers that reads no report."""

REPLACED = "replaced_pairs_"
"""Begins the names of arms with a share of the pairs replaced; the percentage follows."""

Part = tuple[str, str]
"""A factor's name in files, and in print."""


@dataclass(frozen=True)
class Traits:
    """What a run's configuration says about its arm.

    Attributes:
        method: `unimodal`, `text_only` or `clip_it`.
        factors: What the run ablates or controls; empty for the full method.
        settings: Settings that have an effect here, by name: of CLIP-IT those of `RECIPE`, of
            text-only runs those of `TEXT_RECIPE`.
    """

    method: str
    factors: tuple[Part, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()


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

    @property
    def replaced_share(self) -> float | None:
        """Share of pairs replaced at random, if the arm differs from full CLIP-IT in no more."""
        if self.name == CLIP_IT:
            return 0.0
        percent = self.name.removeprefix(REPLACED)
        return None if percent == self.name or "+" in percent else float(percent) / 100


def traits(
    config: Mapping[str, Any], branch: str, pairing: Mapping[str, Any] | None = None
) -> Traits:
    """Reads a run's traits off its configuration.

    Args:
        config: `config` of a predictions table's provenance.
        branch: The branch that the run's prediction rests on.
        pairing: Provenance of the run's pairing table, if known: tells controls (`control`, a
            word such as `shuffled`; `replaced_share`, in [0, 1]) and policies from plain pairs.
    """
    method = METHOD_OF_BRANCH[branch]
    model, pairing = _part(config, "model"), pairing or {}
    arguments, reports = _part(model, "init_args"), _reports(config)
    if method == UNIMODAL:
        return Traits(method, tuple(_other_model(model)))
    factors = [*_texts(reports, pairing), *_pairs(pairing)]
    settings = list(_text_settings(config, reports, pairing))
    if method == TEXT_ONLY:
        return Traits(method, tuple(factors), tuple(settings))
    lora = _unfolded(arguments, "lora")
    if float(arguments.get("distill_weight", 1)) == 0:
        factors, settings = [(NO_TEXT, "no text (same layers)")], []
    else:
        factors += _text_factors(arguments, lora)
    if lora.get("vision") is False:
        factors.append(("no_lora", "no LoRA (frozen backbone)"))
    return Traits(method, tuple(factors), (*_settings(arguments, lora), *settings))


def resolve(runs: Sequence[Traits]) -> list[Arm]:
    """Names the arm of each run of one dataset and backbone.

    Settings that all runs of CLIP-IT share name no arm. Its full arm has the recipe's values of the
    others; if no run has them, the one combination that is there. Other settings are named after
    what differs from the full arm: those of text-only runs too, unless there is no CLIP-IT.

    Args:
        runs: Traits of all runs of one dataset and backbone.

    Raises:
        InputError: Several combinations of settings and none is the recipe's: which of them is
            the headline must not be decided by looking at results.
    """
    full = [run for run in runs if run.method == CLIP_IT]
    base = _base(full or [run for run in runs if run.method == TEXT_ONLY])
    arms = []
    for run in runs:
        parts = list(run.factors)
        for name, value in run.settings:
            if value != base[name]:
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
    """Returns the settings of the full arm of runs of one method."""
    values: dict[str, set[Any]] = {}
    for run in runs:
        for name, value in run.settings:
            values.setdefault(name, set()).add(value)
    shared = {name: next(iter(found)) for name, found in values.items() if len(found) == 1}
    base = {**RECIPE, **shared}
    full = {
        tuple((name, value) for name, value in run.settings if value != base[name])
        for run in runs
        if not run.factors
    }
    if not full or () in full:
        return base
    if len(full) > 1:
        listed = "; ".join(sorted(_words(deviations) for deviations in full))
        raise InputError(
            f"several settings of {LABELS[runs[0].method]} ({listed}) and none is the default: "
            "which one is the headline must be fixed beforehand; report each in a folder of its own"
        )
    return {**base, **dict(full.pop())}


def _words(settings: Sequence[tuple[str, Any]]) -> str:
    """Returns settings in words, such as "rank 8, learning rate 0.0003"."""
    shown = [(n, f"{v:g}" if isinstance(v, float) else v) for n, v in settings]
    return ", ".join(f"{name} {value}" for name, value in shown)


def _reports(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the arguments of the reports that a run read in training."""
    own = _part(config, "model", "init_args", "reports", "init_args")
    return own or _part(_train(config), "reports", "init_args")


def _train(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the arguments of the training data."""
    return _part(config, "data", "init_args", "datasets", "init_args", "train", "init_args")


def _texts(reports: Mapping[str, Any], pairing: Mapping[str, Any]) -> Iterator[Part]:
    """Yields that class prompts were read instead of reports."""
    sources = (reports.get("path"), _part(pairing, "reports").get("source"))
    if any(isinstance(source, str) and source.startswith(PROMPTS) for source in sources):
        yield "class_prompts", "class prompts instead of reports"


def _pairs(pairing: Mapping[str, Any]) -> Iterator[Part]:
    """Yields the control that a pairing table's provenance declares."""
    control = pairing.get("control")
    if isinstance(control, str) and control:
        yield f"{control}_pairs", f"{control} pairs"
    share = float(pairing.get("replaced_share") or 0)
    if share:
        percent = f"{100 * share:g}"
        yield f"{REPLACED}{percent}", f"{percent}% of pairs replaced at random"


def _text_factors(arguments: Mapping[str, Any], lora: Mapping[str, Any]) -> Iterator[Part]:
    """Yields what a run that reads reports does otherwise in training."""
    dropped = float(arguments.get("word_dropout") or 0)
    if dropped:
        percent = f"{100 * dropped:g}"
        yield f"word_dropout_{percent}", f"{percent}% of report words dropped"
    if lora.get("text") is True:
        yield "text_lora", "text LoRA"
    if arguments.get("text_gradient") is False:
        yield "stop_gradient", "stop-gradient (the text encoder gets none)"


def _other_model(model: Mapping[str, Any]) -> Iterator[Part]:
    """Yields the class of a vision model that is not eva's linear probe."""
    name = str(model.get("class_path", "HeadModule")).rpartition(".")[2]
    if name != "HeadModule":
        yield name, name


def _settings(arguments: Mapping[str, Any], lora: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields CLIP-IT's settings that have an effect; missing ones are the recipe's."""
    if lora.get("vision") is not False or lora.get("text") is True:
        yield "rank", int(lora.get("rank", RECIPE["rank"]))
        yield "alpha", float(lora.get("alpha", RECIPE["alpha"]))
        yield "LoRA dropout", float(lora.get("dropout", RECIPE["LoRA dropout"]))
        targets = lora.get("targets") or RECIPE["targets"]
        yield "targets", targets if isinstance(targets, str) else "+".join(map(str, targets))
    weight = float(arguments.get("distill_weight", 1))
    if weight:
        yield "lambda", weight
    optimizer = _part(arguments, "optimizer", "init_args")
    yield "learning rate", float(optimizer.get("lr", RECIPE["learning rate"]))
    criterion = arguments.get("criterion")
    if isinstance(criterion, Mapping):
        criterion = str(criterion.get("class_path")).rpartition(".")[2]
    yield "criterion", RECIPE["criterion"] if criterion in CROSS_ENTROPIES else criterion
    scratch = arguments.get("vision_head_checkpoint") is None
    yield "vision head", "from scratch" if scratch else RECIPE["vision head"]
    yield "vision head LoRA", bool(arguments.get("vision_head_lora", False))


def _text_settings(
    config: Mapping[str, Any], reports: Mapping[str, Any], pairing: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yields the settings of the pairs; missing ones are the recipe's."""
    yield "top-k", int(_train(config).get("top_k") or RECIPE["top-k"])
    policy = dict(_part(pairing, "policy"))
    name = policy.pop("name", RECIPE["pairing"])
    if name in CONTROLS:  # a factor, not a setting
        name, policy = RECIPE["pairing"], {}
    yield "pairing", _words([("", name), *sorted(policy.items())]).strip().replace(",", "")
    yield "CLIP model", str(reports.get("clip_model") or RECIPE["CLIP model"]).rpartition("/")[2]
    yield "report policy", str(reports.get("policy") or RECIPE["report policy"])
    done = _unfolded(reports, "preparation").items()
    kept = [(name, value) for name, value in done if value not in (None, False, "keep")]
    yield "reports", _words(sorted(kept)).replace(",", "") or RECIPE["reports"]


def _unfolded(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Returns nested arguments, given with or without their class."""
    return _part(mapping, key, "init_args") or _part(mapping, key)


def _part(mapping: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Returns a nested mapping, empty where there is none."""
    value: Any = mapping
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}

"""The configuration that a run was made with, as its provenance has it: one way to look into it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RecordedConfig:
    """What a run's trainer, model and data were made with.

    Objects are `class_path` with `init_args`, as in a config of eva; `init_args` is no step of a
    path here.

    Attributes:
        content: `config` of a provenance, or the content of a config file, by role.
    """

    content: Mapping[str, Any] = field(default_factory=dict)

    def part(self, *path: str) -> Mapping[str, Any]:
        """Returns the arguments of a nested object, empty where there is none.

        Args:
            path: Names of arguments, from a role on: `"model", "backbone"`.
        """
        value: Any = self.content
        for name in path:
            value = _arguments(value.get(name)) if isinstance(value, Mapping) else {}
        return value if isinstance(value, Mapping) else {}

    def class_of(self, *path: str) -> str:
        """Returns the name of a nested object's class without its module; empty without one."""
        value = self.part(*path[:-1]).get(path[-1])
        return _class_name(value)

    def arguments_of(self, class_name: str, *path: str) -> Mapping[str, Any]:
        """Returns the arguments of the first object of a class in a part; empty if there is none.

        Args:
            class_name: The class without its module.
            path: As for `part`.
        """
        if self.class_of(*path) == class_name:
            return self.part(*path)
        found = (value for value in _objects(self.part(*path)) if _class_name(value) == class_name)
        return _arguments(next(found, {}))

    def first(self, key: str) -> str | None:
        """Returns the first text under a key, wherever it stands."""
        return _first(self.content, key)

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Yields the dotted name and value of each setting; lists of plain values are values.

        Objects in a list are named by their class, so that their places do not count.
        """
        yield from _leaves(self.content, "")

    @property
    def train(self) -> Mapping[str, Any]:
        """Arguments of the training dataset."""
        return self.part("data", "datasets", "train")

    @property
    def test(self) -> Mapping[str, Any]:
        """Arguments of the test dataset."""
        return self.part("data", "datasets", "test")

    @property
    def reports(self) -> Mapping[str, Any]:
        """Arguments of the reports that training read; empty if it read none."""
        return self.part("model", "reports") or self.part("data", "datasets", "train", "reports")

    @property
    def backbone(self) -> str | None:
        """The backbone's name in eva's registry, or its class; None without one."""
        name = self.part("model", "backbone").get("model_name")
        given = self.part("model").get("backbone")
        return name or (given.get("class_path") if isinstance(given, Mapping) else given)


def _arguments(value: Any) -> Any:
    """Returns an object's arguments, or any other value as it is."""
    if isinstance(value, Mapping) and "class_path" in value:
        return value.get("init_args") or {}
    if isinstance(value, Mapping) and set(value) == {"init_args"}:
        return value["init_args"]
    return value


def _class_name(value: Any) -> str:
    return str(value.get("class_path", "")).rpartition(".")[2] if isinstance(value, Mapping) else ""


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the objects in a value, outer ones first."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _first(value: Any, key: str) -> str | None:
    if isinstance(value, Mapping):
        if isinstance(value.get(key), str):
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for item in value if (found := _first(item, key)) is not None), None)
    return None


def _leaves(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield f"{at}.class", _class_name(value)
        inner = _arguments(value)
        for key, item in inner.items() if isinstance(inner, Mapping) else ():
            yield from _leaves(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for place, item in enumerate(value):
            name = item.rpartition(".")[2] if isinstance(item, str) else _class_name(item)
            yield from _leaves(item, f"{at}.{name or place}")
    else:
        yield at, value

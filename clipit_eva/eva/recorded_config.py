"""The configuration of a run, as its files record it or as a config file has it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RecordedConfig:
    """A configuration with the roles `trainer`, `model` and `data`, or any part of one.

    Paths such as `data.datasets.train` step over `init_args`. What is not there is None.

    Attributes:
        value: An object (`class_path`, `init_args`), a group of settings, a list or a plain value.
    """

    value: Any

    @property
    def class_path(self) -> str:
        """Import path of the object's class; empty if the part is none."""
        return str(self.value.get("class_path", "")) if isinstance(self.value, Mapping) else ""

    @property
    def class_name(self) -> str:
        """Last part of `class_path`: one class may be imported by several paths."""
        return self.class_path.rpartition(".")[2]

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Arguments of the object, or the settings of the group; empty if the part is neither."""
        if not isinstance(self.value, Mapping):
            return {}
        if "class_path" in self.value or "init_args" in self.value:
            return self.value.get("init_args") or {}
        return self.value

    def part(self, path: str) -> "RecordedConfig":
        """Returns the part at a path."""
        part = self
        for name in path.split("."):
            part = RecordedConfig(part.arguments.get(name))
        return part

    def get(self, path: str) -> Any:
        """Returns the value at a path."""
        return self.part(path).value

    def leaves(self, at: str = "") -> Iterator[tuple[str, Any]]:
        """Yields the path and value of each plain value and list of plain values.

        The class of an object is its `class`. Objects in a list are named by their class, so that
        their places do not count.

        Args:
            at: Path of this part, which the paths of the leaves begin with.
        """
        if self.class_path:
            yield f"{at}.class", self.class_name
        inner = list(self.arguments.items())
        if isinstance(self.value, list) and any(isinstance(v, Mapping) for v in self.value):
            inner = [(_class_name(item) or place, item) for place, item in enumerate(self.value)]
        elif not isinstance(self.value, Mapping):
            yield at, self.value
        for name, value in inner:
            yield from RecordedConfig(value).leaves(f"{at}.{name}" if at else str(name))

    def text(self, name: str) -> str | None:
        """Returns the first text of a name in this part or below."""
        if isinstance(found := self.arguments.get(name), str):
            return found
        inner = self.value if isinstance(self.value, list) else self.arguments.values()
        texts = (RecordedConfig(value).text(name) for value in inner)
        return next((text for text in texts if text is not None), None)

    def first(self, class_name: str) -> "RecordedConfig":
        """Returns the first object of a class in this part or below."""
        if self.class_name == class_name:
            return self
        inner = self.value if isinstance(self.value, list) else self.arguments.values()
        found = (RecordedConfig(value).first(class_name) for value in inner)
        return next((part for part in found if part.value is not None), RecordedConfig(None))

    def of_images(self) -> "RecordedConfig":
        """Returns the part with images and backbone where the run read embeddings from disk."""
        if self.class_name == "EmbeddedDataset":
            return self.part("dataset").of_images()
        if self.class_name == "EmbeddedBackbone":
            named = {name: self.get(name) for name in ("model_name", "model_extra_kwargs")}
            path = "eva.vision.models.ModelFromRegistry"
            return RecordedConfig({"class_path": path, "init_args": named})
        if isinstance(self.value, list):
            return RecordedConfig([RecordedConfig(item).of_images().value for item in self.value])
        if not isinstance(self.value, Mapping):
            return self
        inner = self.value.items()
        return RecordedConfig({name: RecordedConfig(v).of_images().value for name, v in inner})

    def without(self, wrapper: str) -> "RecordedConfig":
        """Returns the part with what datasets of a class wrap in their place."""
        if self.class_name == wrapper:
            return self.part("dataset").without(wrapper)
        if not isinstance(self.value, Mapping):
            return self
        inner = self.value.items()
        return RecordedConfig({name: RecordedConfig(v).without(wrapper).value for name, v in inner})

    @property
    def innermost(self) -> "RecordedConfig":
        """The dataset that the wrappers of a dataset wrap."""
        inner = self.part("dataset")
        return self if inner.value is None else inner.innermost

    @property
    def backbone(self) -> str | None:
        """Name of the vision backbone in eva's registry, or its class; None without one."""
        backbone = self.part("model.backbone")
        return backbone.get("model_name") or backbone.class_path or None

    @property
    def reports(self) -> "RecordedConfig":
        """The reports that are read in training: the model's, or those of the training data."""
        own = self.part("model.reports")
        return own if own.arguments else self.part("data.datasets.train.reports")


def _class_name(item: Any) -> str:
    """Returns the class of an object, of which a list may hold the import path alone."""
    path = item if isinstance(item, str) else RecordedConfig(item).class_path
    return path.rpartition(".")[2]

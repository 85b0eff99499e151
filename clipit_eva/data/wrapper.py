"""What all dataset wrappers share: another dataset, and which of its samples."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from eva.vision.data.datasets import vision
from typing_extensions import override

from clipit_eva.data.batches import WholeBatch


class DatasetWrapper(vision.VisionDataset):
    """An eva vision dataset around another one.

    Every method is handed on by name: delegation by `__getattr__` recurses when a data loader
    pickles the dataset, and the base class's own methods would shadow it.
    """

    def __init__(self, dataset: vision.VisionDataset) -> None:
        """Initializes the wrapper.

        Args:
            dataset: The dataset, or another wrapper.
        """
        super().__init__(transforms=None)
        self._dataset = dataset

    @property
    def wrapped(self) -> vision.VisionDataset:
        """The dataset inside."""
        return self._dataset

    def inner_index(self, index: int) -> int:
        """Returns the index that a sample has in the dataset inside."""
        return index

    @property
    @override
    def classes(self) -> list[str] | None:
        return self._dataset.classes

    @property
    @override
    def class_to_idx(self) -> dict[str, int] | None:
        return self._dataset.class_to_idx

    @override
    def prepare_data(self) -> None:
        self._dataset.prepare_data()

    @override
    def setup(self) -> None:
        self._dataset.setup()  # configures and validates in its own way
        self.configure()

    @override
    def teardown(self) -> None:
        self._dataset.teardown()

    @override
    def __len__(self) -> int:
        return len(self._dataset)

    @override
    def __getitem__(self, index: int) -> tuple[Any, Any, dict[str, Any]]:
        return self._dataset[self.inner_index(index)]

    @property
    def __getitems__(self) -> Callable[[Sequence[int]], list[WholeBatch]] | None:
        """What a data loader asks for a whole batch; None if samples are read one by one."""
        return (lambda indices: [self.load_batch(indices)]) if self.reads_batches else None

    @property
    def reads_batches(self) -> bool:
        """Whether `load_batch` can be called: it can if the dataset inside can read batches."""
        return isinstance(self._dataset, DatasetWrapper) and self._dataset.reads_batches

    def load_batch(self, indices: Sequence[int]) -> WholeBatch:
        """Returns several samples at once.

        Args:
            indices: The samples' indices.
        """
        if not isinstance(self._dataset, DatasetWrapper):
            raise TypeError(f"{type(self._dataset).__name__} reads samples one by one")
        return self._dataset.load_batch([self.inner_index(index) for index in indices])

    @override
    def filename(self, index: int) -> str:
        return self._dataset.filename(self.inner_index(index))

    @override
    def load_data(self, index: int) -> Any:
        return self._dataset.load_data(self.inner_index(index))

    @override
    def load_target(self, index: int) -> Any:
        return self._dataset.load_target(self.inner_index(index))

    @override
    def load_metadata(self, index: int) -> dict[str, Any] | None:
        return self._dataset.load_metadata(self.inner_index(index))


Wrapper = TypeVar("Wrapper", bound=DatasetWrapper)


def find_wrapper(dataset: object, kind: type[Wrapper]) -> Wrapper | None:
    """Returns a dataset or the one inside its wrappers that is of a kind; None without."""
    while isinstance(dataset, DatasetWrapper):
        if isinstance(dataset, kind):
            return dataset
        dataset = dataset.wrapped
    return None


def eva_dataset(dataset: vision.VisionDataset) -> vision.VisionDataset:
    """Returns the eva dataset inside any number of wrappers."""
    while isinstance(dataset, DatasetWrapper):
        dataset = dataset.wrapped
    return dataset


def eva_index(dataset: vision.VisionDataset, index: int) -> int:
    """Returns the index that a sample has in the eva dataset inside any number of wrappers."""
    while isinstance(dataset, DatasetWrapper):
        index, dataset = dataset.inner_index(index), dataset.wrapped
    return index

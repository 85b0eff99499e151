"""Random changes of training images."""

import copy
import pickle
from typing import Any

import pytest
import torch
from eva.vision.data.datasets import vision
from eva.vision.data.transforms.common import ResizeAndCrop
from torch.utils.data import DataLoader
from torchvision import tv_tensors

from clipit_eva.clip import CLIPPreprocess
from clipit_eva.data import EmbeddedDataset, FewLabels, HoldOut
from clipit_eva.data.augmented import AUGMENTATIONS, Augmented, plain_images
from clipit_eva.embeddings import EmbeddedBackbone
from clipit_eva.errors import InputError

NAME = "flips_and_jitter"


class Photos(vision.VisionDataset):
    """Raw images, as eva's datasets read them."""

    def __len__(self) -> int:
        return 12

    def filename(self, index: int) -> str:
        return str(index)

    def load_data(self, index: int) -> tv_tensors.Image:
        generator = torch.Generator().manual_seed(index)
        return tv_tensors.Image(
            torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8, generator=generator)
        )

    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(index % 2, dtype=torch.float32)


def augmented(transforms: Any = None, name: str | None = NAME) -> Augmented:
    dataset = Augmented(Photos(transforms), name)
    dataset.setup()
    return dataset


def read(dataset: vision.VisionDataset) -> torch.Tensor:
    return torch.stack([torch.as_tensor(dataset[n][0]) for n in range(len(dataset))])


def test_without_a_name_images_are_as_they_are() -> None:
    assert torch.equal(read(augmented(name=None)), read(Photos()))


def test_images_change_and_labels_stay() -> None:
    dataset, plain = augmented(), Photos()
    assert not torch.equal(read(dataset), read(plain))
    assert all(dataset[n][1] == plain[n][1] for n in range(len(plain)))


def test_draws_depend_on_seed_run_and_reading_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    dataset = augmented()
    first, second = read(dataset), read(dataset)
    assert not torch.equal(first, second)
    again = augmented()
    torch.manual_seed(5)
    backwards = torch.stack([again[n][0] for n in reversed(range(len(again)))]).flip(0)
    assert torch.equal(backwards, first)  # in any order, whatever else is drawn
    assert torch.equal(read(again), second)
    again.setup()  # another run of the session
    assert not torch.equal(read(again), first)
    monkeypatch.setenv("PL_GLOBAL_SEED", "2")
    assert not torch.equal(read(augmented()), first)


def test_torch_draws_go_on_as_without() -> None:
    dataset = augmented()
    torch.manual_seed(3)
    read(dataset)
    found = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(found, torch.rand(3))


@pytest.mark.parametrize("persistent", [False, True])
def test_loading_processes_change_nothing(persistent: bool) -> None:
    def epochs(workers: int) -> list[torch.Tensor]:
        loader = DataLoader(
            augmented(), 4, num_workers=workers, persistent_workers=persistent and workers > 0
        )
        return [torch.cat([batch[0] for batch in loader]) for _ in range(2)]

    alone, shared = epochs(0), epochs(2)
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))
    assert not torch.equal(*alone)


def test_augmentation_is_the_authors() -> None:
    """Flips with probability 0.5 each; colours within the jitter's bounds."""
    grey = tv_tensors.Image(torch.full((3, 4, 4), 100, dtype=torch.uint8))
    corner = grey.clone()
    corner[:, 0, 0] = 255
    corner = tv_tensors.Image(corner)
    augment = AUGMENTATIONS[NAME]()
    torch.manual_seed(0)
    places = [int(augment(corner)[0].flatten().argmax()) for _ in range(400)]
    assert {place: places.count(place) // 50 for place in set(places)}.keys() == {0, 3, 12, 15}
    assert all(70 < places.count(place) < 130 for place in (0, 3, 12, 15))
    levels = [float(augment(grey).float().mean()) for _ in range(300)]
    assert 50 - 1 <= min(levels) < 60  # brightness alone moves an even grey
    assert 140 < max(levels) <= 150 + 1
    jitter = augment.transforms[2]
    assert (jitter.brightness, jitter.contrast, jitter.saturation) == ((0.5, 1.5),) * 3
    assert jitter.hue == (-0.05, 0.05)


@pytest.mark.parametrize("kind", ["eva", "clip"])
def test_own_transform_comes_after(kind: str, clip_folder) -> None:
    own = ResizeAndCrop(16) if kind == "eva" else CLIPPreprocess(str(clip_folder))
    dataset = augmented(own)
    image, _, _ = dataset[0]
    assert image.shape == (3, 16, 16)
    assert image.dtype == torch.float32
    assert not torch.equal(image, Photos(own)[0][0])
    with plain_images(dataset):
        assert torch.equal(dataset[0][0], Photos(own)[0][0])


def test_plain_reading_is_not_counted() -> None:
    dataset, other = augmented(), augmented()
    wrapped = FewLabels(dataset)
    wrapped.setup()
    with plain_images(wrapped):
        assert torch.equal(read(wrapped), read(Photos()))
    other.setup()  # `wrapped.setup` was one more run
    assert torch.equal(read(wrapped), read(other))
    with plain_images(Photos()):
        pass


def test_other_parts_of_the_same_data_stay() -> None:
    train = Augmented(HoldOut(Photos(), "train", every=4), NAME)
    held = HoldOut(Photos(), "hold_out", every=4)
    for part in (train, held):
        part.setup()
    read(train)
    assert torch.equal(read(held), read(Photos())[[0, 4, 8]])


def test_copies_read_alike() -> None:
    dataset = augmented()
    copies = [copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))]
    first = read(dataset)
    assert all(torch.equal(read(one), first) for one in copies)


def test_unknown_name() -> None:
    with pytest.raises(InputError, match=r"^AUGMENTATION=flips is unknown; use one of flips_and"):
        Augmented(Photos(), "flips")


def test_embeddings_are_refused() -> None:
    embedded = EmbeddedDataset(Photos(), "train", EmbeddedBackbone("any"))
    for dataset in (embedded, HoldOut(embedded, "train")):
        with pytest.raises(InputError, match=r"^AUGMENTATION=flips_and_jitter changes images, and"):
            Augmented(dataset, NAME)
        Augmented(dataset, None)

"""Report embeddings, computed once."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipit_eva.clip.model import CLIPModel
from clipit_eva.embeddings.encoding import encode_texts
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.reports.preparation import ReportPreparation


def caches(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("*.npy"))


def test_embeddings_are_the_models_in_corpus_order(source: ReportSource) -> None:
    clip, texts = source.load_clip(), source.corpus().texts
    with torch.inference_mode():
        apart = [clip.text_encoder(clip.tokenize([text]))[0].numpy() for text in texts]
    embeddings = source.embeddings()
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, np.stack(apart), rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_embeddings_are_computed_once(source: ReportSource, tmp_path: Path) -> None:
    source.embeddings()
    (file,) = caches(tmp_path)
    marked = np.zeros((7, 16), dtype=np.float32)
    np.save(file, marked)
    embeddings = source.embeddings()
    assert np.array_equal(embeddings, marked)
    assert isinstance(embeddings, np.memmap)
    assert not embeddings.flags.writeable


def test_other_reports_or_models_have_their_own_cache(
    source: ReportSource, clip_folder: Path, tmp_path: Path
) -> None:
    source.embeddings()
    path = tmp_path / "reports.csv"
    path.write_text(path.read_text().replace("stroma", "Stroma"))
    changed = source.embeddings()
    assert len(caches(tmp_path)) == 2
    # The same weights under another tokenizer or architecture would have another identity.
    clip = source.load_clip()
    clip.identity = {**clip.identity, "weights": "others"}
    assert np.array_equal(source.embeddings(clip), changed)
    assert len(caches(tmp_path)) == 3


def embed_texts(clip: CLIPModel, texts: list[str]) -> np.ndarray:
    values = np.empty((len(texts), clip.embed_dim), dtype=np.float32)
    encode_texts(clip, texts, lambda places, rows: values.__setitem__(list(places), rows))
    return values


def test_batches_do_not_change_the_result(source: ReportSource) -> None:
    clip = source.load_clip()
    texts = [f"report {number}" for number in range(70)]
    together = embed_texts(clip, texts)
    apart = np.concatenate([embed_texts(clip, [text]) for text in texts])
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-6)


def test_damaged_weights_are_named(source: ReportSource, tmp_path: Path) -> None:
    clip = source.load_clip()
    with torch.no_grad():
        next(clip.text_encoder.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="CLIP_MODEL gives embeddings that are not numbers"):
        source.embeddings(clip)
    assert caches(tmp_path) == []


def test_settings_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="REPORTS is not set"):
        ReportSource(None).corpus()
    with pytest.raises(InputError, match="nothing-like-it"):
        ReportSource("reports.csv", clip_model="nothing-like-it").load_clip()
    empty = tmp_path / "reports.txt"
    empty.write_text("")
    with pytest.raises(InputError, match="holds no report"):
        ReportSource(str(empty)).corpus()


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"path": "other.txt"}, "path, column or preparation"),
        (
            {"preparation": ReportPreparation(duplicates="drop_exact")},
            "path, column or preparation",
        ),
        ({"policy": "chunk"}, "policy"),
        ({"clip_model": "conch"}, "clip_model, clip_checkpoint or clip_tokenizer"),
        ({"clip_tokenizer": "another"}, "clip_model, clip_checkpoint or clip_tokenizer"),
    ],
)
def test_two_parts_of_a_config_that_mean_other_texts_are_told_apart(
    tmp_path: Path, clip_folder: Path, changed: dict[str, Any], fields: str
) -> None:
    (tmp_path / "reports.txt").write_text("glands\nglands\nstroma\n")
    (tmp_path / "other.txt").write_text("glands\nfat\n")
    arguments = {"path": "reports.txt", "clip_model": str(clip_folder), "cache_dir": "a"}
    models, datas = (
        ReportSource(**{**given, "path": str(tmp_path / given["path"])})
        for given in (arguments, {**arguments, **changed})
    )
    message = f"model.init_args.reports and data...train.init_args.reports differ in {fields}:"
    with pytest.raises(InputError, match=re.escape(message)):
        models.check_same(datas)


def test_two_names_of_the_same_texts_are_the_same(tmp_path: Path, clip_folder: Path) -> None:
    """A path can be written in two ways, and caches may lie apart."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "reports.txt").write_text("glands\nstroma\n")
    models, datas = (
        ReportSource(
            str(tmp_path / folder / "reports.txt"), clip_model=str(clip_folder), cache_dir=folder
        )
        for folder in ("a", "b")
    )
    models.check_same(datas)


def test_the_text_column_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text("report_id,diagnosis\na,carcinoma\n")
    assert ReportSource(str(path), column="diagnosis").corpus().texts == ["carcinoma"]
    with pytest.raises(InputError, match="no column 'text'"):
        ReportSource(str(path)).corpus()

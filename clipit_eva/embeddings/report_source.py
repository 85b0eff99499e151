"""Reports and the CLIP model that reads them: the text side of pairing and training."""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipit_eva import files
from clipit_eva.clip.recorded_clip import RecordedCLIP
from clipit_eva.embeddings.encoding import encode_texts
from clipit_eva.embeddings.row_store import RowStore
from clipit_eva.errors import InputError
from clipit_eva.reports.chunking import POLICIES
from clipit_eva.reports.corpus import ReportCorpus, read_corpus
from clipit_eva.reports.preparation import ReportPreparation, prepare
from clipit_eva.reports.prompts import read_prompts
from clipit_eva.reports.report_chunks import ReportChunks, split_reports, whole_reports
from clipit_eva.tasks.card import PROMPTS

if TYPE_CHECKING:
    from clipit_eva.clip.model import CLIPModel


class ReportSource:
    """Where reports come from, how they are prepared, and which CLIP model embeds them.

    Cheap to make and to copy: files and models are read when a method asks for them.
    """

    def __init__(
        self,
        path: str | None,
        column: str = "text",
        *,
        clip_model: str = "conch",
        clip_checkpoint: str | None = None,
        clip_tokenizer: str | None = None,
        cache_dir: str = "./data/embeddings",
        preparation: ReportPreparation = ReportPreparation(),  # noqa: B008 (frozen)
        policy: str = "truncate",
    ) -> None:
        """Initializes the source.

        Args:
            path: The reports: .txt, .csv, .tsv, .json, .jsonl, .parquet, a folder of .txt files,
                or `prompts:` and a task (`bach`, `crc`, `patch_camelyon`) for texts that name the
                task's classes.
            column: Column of the report text, in formats that have columns.
            clip_model: The image-text model, see `clip.loading.load_clip`.
            clip_checkpoint: Its weights, where the name does not imply them.
            clip_tokenizer: Its tokenizer, where the name does not imply it.
            cache_dir: Folder for embeddings and prepared reports, which are computed once.
            preparation: Which reports are selected, and what is done to them.
            policy: What is embedded of reports longer than the text encoder reads, see
                `reports.chunking.POLICIES`.

        Raises:
            InputError: The policy is unknown.
        """
        if policy not in POLICIES:
            raise InputError(f"REPORT_POLICY={policy} must be one of {', '.join(POLICIES)}")
        self._path = path
        self._column = column
        self._clip = (clip_model, clip_checkpoint, clip_tokenizer)
        self._cache_dir = Path(cache_dir)
        self._preparation = preparation
        self._policy = policy

    @property
    def cache_dir(self) -> Path:
        """Folder for embeddings that are computed once."""
        return self._cache_dir

    def check_same(self, other: "ReportSource") -> None:
        """Checks that the training data (`other`) mean the same texts and embeddings as the model.

        Raises:
            InputError: They differ; names both fields.
        """
        differing = {
            "policy": self._policy != other._policy,
            "clip_model, clip_checkpoint or clip_tokenizer": self._clip != other._clip,
        }
        texts = self._path, self._column, self._preparation
        if texts != (other._path, other._column, other._preparation):
            differing["path, column or preparation"] = self.corpus().sha256 != other.corpus().sha256
        for fields, differ in differing.items():
            if differ:
                raise InputError(
                    f"model.init_args.reports and data...train.init_args.reports differ in {fields}"
                    ": training would read other texts than were paired; set REPORTS and the other "
                    "variables, or override both"
                )

    def describe_preparation(self) -> dict[str, object]:
        """Returns what is done to the reports, for provenance: what differs from nothing."""
        settings = dataclasses.asdict(self._preparation)
        unset = dataclasses.asdict(ReportPreparation())
        return {name: value for name, value in settings.items() if value != unset[name]}

    def corpus(self) -> ReportCorpus:
        """Reads and prepares the reports, once a process while the file stays the same.

        Raises:
            InputError: No path is set, or the file is not a corpus, see `read_corpus`.
        """
        if self._path is None:
            raise InputError("REPORTS is not set; give a file of reports")
        if self._path.startswith(PROMPTS):
            return prepare(read_prompts(self._path), self._preparation, self._cache_dir)
        path = Path(self._path)
        changed = path.stat().st_mtime_ns if path.exists() else 0
        key = self._path, self._column, self._cache_dir, changed
        return _read(*key, _Hashable(self._preparation))

    def load_clip(self) -> "CLIPModel":
        """Loads the CLIP model.

        Raises:
            InputError: The model is unknown or its weights cannot be read, see `load_clip`.
        """
        return self._recorded().load()

    def clip_identity(self) -> dict[str, Any]:
        """Returns what tells the CLIP model from others, from its record if there is one."""
        return dict(self._recorded().identity)

    def chunks(self, clip: "CLIPModel | None" = None) -> ReportChunks:
        """Returns the texts that are embedded and retrieved, by the policy for long reports.

        Given the loaded CLIP model, if the caller has it.
        """
        corpus = self.corpus()
        if self._policy == "truncate" and clip is None:
            return whole_reports(corpus)  # needs no tokenizer
        return self._split(corpus, self._recorded(clip))

    def embeddings(
        self, clip: "CLIPModel | None" = None, chunks: ReportChunks | None = None
    ) -> np.ndarray:
        """Returns the embedding of each row, computed at most once for a corpus and a model.

        The model is loaded only if they are not on disk.

        Args:
            clip: The loaded CLIP model, if the caller has it.
            chunks: What is embedded, if the caller has it.

        Returns:
            Unit-length rows [chunks, embed_dim], float32, in corpus order; read-only.
        """
        recorded = self._recorded(clip)
        chunks = chunks or self.chunks(clip)
        store = self._store(chunks, recorded)
        if not store.file.is_file():
            clip = recorded.load()
            store = self._store(chunks, recorded)  # of what was loaded, whatever was recorded
            with store.lock():
                store.start()
                rows = store.missing()
                texts = chunks.texts
                encode_texts(
                    clip,
                    [texts[row] for row in rows],
                    lambda places, values: store.write(rows[list(places)].tolist(), values),
                )
                store.finish()
        return chunks.combine(store.read())

    def _recorded(self, clip: "CLIPModel | None" = None) -> RecordedCLIP:
        """Returns the CLIP model, loaded or not."""
        return RecordedCLIP(self._clip, self._cache_dir, clip)

    def _store(self, chunks: ReportChunks, clip: RecordedCLIP) -> RowStore:
        """Returns the embeddings' files."""
        facts = {"reports": chunks.texts_sha256, **clip.identity}
        return RowStore(self._cache_dir, "reports", facts, len(chunks.table), clip.embed_dim)

    def _split(self, corpus: ReportCorpus, clip: RecordedCLIP) -> ReportChunks:
        """Splits the reports, or reads how they were split before; logs what is dropped."""
        key = {"reports": corpus.sha256, "policy": self._policy}
        key |= {name: clip.identity.get(name, "") for name in ("model", "tokenizer")}
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        file = self._cache_dir / f"windows-{digest}.parquet"
        if file.is_file():
            columns = ["report", "chunk", "start", "end"]
            table, made = files.read_table(file, columns=columns, kind="chunks of reports")
            chunks = ReportChunks(corpus, self._policy, table, made["dropped"])
        else:
            from clipit_eva.clip.token_counts import TokenCounter

            counter = TokenCounter(clip.load().tokenize)
            chunks = split_reports(corpus, self._policy, counter.budget, counter)
            made = {**key, "dropped": chunks.dropped}
            files.write_table(chunks.table, file, provenance=made)
        chunks.log()
        return chunks


class _Hashable:
    """Makes settings a key, although they hold lists."""

    def __init__(self, preparation: ReportPreparation) -> None:
        self.preparation = preparation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and self.preparation == other.preparation

    def __hash__(self) -> int:
        return hash(str(self.preparation))


@functools.lru_cache(maxsize=2)
def _read(path: str, column: str, folder: Path, _: int, settings: _Hashable) -> ReportCorpus:
    """Reads and prepares reports; the number tells versions of the file apart."""
    preparation = settings.preparation
    corpus = read_corpus(path, column, repeated_ids=preparation.repeated_ids)
    return prepare(corpus, preparation, folder)

"""Rows on disk through interruptions, damage and full disks."""

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clipit_eva.embeddings.row_store import RowStore
from clipit_eva.errors import InputError

FACTS = {"weights": "abc", "reports": "def"}
ROWS = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


def store(folder: Path, facts: dict[str, str] = FACTS) -> RowStore:
    return RowStore(folder, "images", facts, *ROWS.shape)


def names(folder: Path) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in folder.iterdir())


def test_rows_come_back_whatever_the_order_they_are_written_in(tmp_path: Path) -> None:
    rows = store(tmp_path)
    rows.start()
    assert rows.missing().tolist() == list(range(10))
    for part in ([7, 2], [9], [0, 1, 3, 4, 5, 6, 8]):
        rows.write(part, ROWS[part])
    assert rows.missing().size == 0
    rows.finish()
    assert np.array_equal(rows.read(), ROWS)
    assert not rows.read().flags.writeable
    assert names(tmp_path) == ["json", "npy"]


def test_written_rows_are_kept(tmp_path: Path) -> None:
    store(tmp_path).start()
    store(tmp_path).write([3, 4], ROWS[[3, 4]])
    again = store(tmp_path)
    again.start()
    assert again.missing().tolist() == [0, 1, 2, 5, 6, 7, 8, 9]


def test_half_written_rows_are_missing(tmp_path: Path) -> None:
    """A row that reached the disk in part, or not at all, though its mark did."""
    rows = store(tmp_path)
    rows.start()
    rows.write([3, 4], ROWS[[3, 4]])
    (partial,) = tmp_path.glob("*.partial")
    content = bytearray(partial.read_bytes())
    content[-6 * 16 - 1] ^= 1  # row 3's last byte
    partial.write_bytes(content)
    assert 3 in rows.missing()
    assert 4 not in rows.missing()


@pytest.mark.parametrize("suffix", ["partial", "marks"])
def test_damaged_beginnings_are_made_again(tmp_path: Path, suffix: str) -> None:
    rows = store(tmp_path)
    rows.start()
    rows.write([3], ROWS[[3]])
    (path,) = tmp_path.glob(f"*.{suffix}")
    path.write_bytes(path.read_bytes()[:17])
    rows.start()
    assert rows.missing().size == 10


def test_a_process_that_ended_while_finishing_has_finished(tmp_path: Path) -> None:
    rows = store(tmp_path)
    rows.start()
    rows.write(range(10), ROWS)
    (marks,) = tmp_path.glob("*.marks")
    left = marks.read_bytes()
    rows.finish()
    marks.write_bytes(left)
    rows.start()
    assert rows.missing().size == 0
    assert names(tmp_path) == ["json", "npy"]


def test_other_facts_are_other_files(tmp_path: Path) -> None:
    rows = store(tmp_path)
    rows.start()
    rows.write(range(10), ROWS)
    rows.finish()
    other = store(tmp_path, {**FACTS, "weights": "xyz"})
    other.start()
    assert other.missing().size == 10


def test_files_of_other_weights_under_this_name_are_refused(tmp_path: Path) -> None:
    """As after copying a cache between machines by hand."""
    rows, other = store(tmp_path), store(tmp_path, {**FACTS, "weights": "xyz"})
    for each in (rows, other):
        each.start()
        each.write(range(10), ROWS)
        each.finish()
    for suffix in (".json", ".npy"):
        os.replace(other.file.with_suffix(suffix), rows.file.with_suffix(suffix))
    with pytest.raises(InputError, match=r"images-.*\.npy were made with another weights; delete"):
        rows.read()


@pytest.mark.parametrize("content", [b"", b"no numbers", None])
def test_damaged_matrix_is_named(tmp_path: Path, content: bytes | None) -> None:
    rows = store(tmp_path)
    rows.start()
    rows.write(range(10), ROWS)
    rows.finish()
    if content is None:
        np.save(rows.file, ROWS[:9])
    else:
        rows.file.write_bytes(content)
    with pytest.raises(InputError, match=r"images-.*\.npy are damaged"):
        rows.read()


def test_facts_can_be_read(tmp_path: Path) -> None:
    store(tmp_path).start()
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text()) == FACTS


def _fill(folder: Path, done: object) -> None:
    """Writes the rows under the lock; says when it starts."""
    rows = store(folder)
    with rows.lock():
        rows.start()
        for row in rows.missing():
            done.append((os.getpid(), int(row)))  # type: ignore[attr-defined]
            rows.write([row], ROWS[[row]])
            time.sleep(0.01)
        rows.finish()


def test_two_processes_write_each_row_once(tmp_path: Path) -> None:
    with multiprocessing.Manager() as manager:
        done = manager.list()
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=_fill, args=(tmp_path, done)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert sorted(row for _, row in done) == list(range(10))
    assert np.array_equal(store(tmp_path).read(), ROWS)


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from clipit_eva.embeddings.row_store import RowStore\n"
        f"rows = RowStore(Path({str(tmp_path)!r}), 'images', {FACTS}, 10, 4)\n"
        "with rows.lock():\n    rows.start(); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    with store(tmp_path).lock():
        pass


def test_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk: both fail in the same call."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = RowStore(tmp_path, "images", FACTS, 1000, 64)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(InputError, match=r"images-.*\.npy cannot be written: file too large"):
            rows.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == ["json"]


WITHOUT = """
import errno, fcntl, logging, os, sys
from pathlib import Path
import numpy as np
from clipit_eva.embeddings.row_store import RowStore

def refuse(*_):
    raise OSError(getattr(errno, sys.argv[2]), "no locks")

fcntl.flock = refuse
del os.posix_fallocate
logging.basicConfig()
store = RowStore(Path(sys.argv[1]), "images", {}, 1000, 300)
with store.lock():
    store.start()
store.write(range(1000), np.ones((1000, 300)))
store.finish()
assert (store.read() == 1).all()
"""


@pytest.mark.parametrize("code", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_disk_without_locks_and_a_system_without_fallocate(tmp_path: Path, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path), code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path} is on a disk without file locks" in done.stderr

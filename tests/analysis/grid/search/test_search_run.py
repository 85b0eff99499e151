"""Searches: what is tried, shared, resumed and written, with runs that are a formula."""

import csv
import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.ablate import Options, ablate
from clipit_eva.analysis.grid.search.search_run import run_search, validation_metric
from clipit_eva.analysis.grid.search.search_settings import Choices
from clipit_eva.analysis.grid.search.search_study import open_study
from clipit_eva.errors import InputError

SCRIPT = Path(__file__).with_name("trivial_search.py")


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


trivial = _load(SCRIPT)

RESULTS = ("trials.csv", "importance.csv", "best.yaml", "summary.md")


def _table(folder: Path, name: str = "trials.csv") -> list[dict[str, str]]:
    with (folder / "search" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _bytes(folder: Path) -> dict[str, str]:
    """What a search wrote, with its folder's name left out."""
    return {
        name: (folder / "search" / name).read_text().replace(str(folder), "") for name in RESULTS
    }


def test_a_search_finds_the_best_settings_of_the_validation(tmp_path: Path) -> None:
    result = run_search(trivial.plan(trials=20), tmp_path, run=trivial.Runs())
    rows = _table(tmp_path)
    assert [row["trial"] for row in rows] == [str(n) for n in range(1, 21)]
    assert {row["state"] for row in rows} == {"finished"}
    for row, trial in zip(rows, result.trials, strict=True):
        seeds = [float(row["seed_1"]), float(row["seed_2"])]
        assert float(row["value"]) == pytest.approx(sum(seeds) / 2)
        assert trial.value == float(row["value"])
        assert row["LORA_RANK"] == str(trial.settings["LORA_RANK"])
    assert result.metric == trivial.METRIC
    assert result.reference == pytest.approx(0.9 - 12 / 500 - 0.005)  # rank 16, alpha 8, Linear
    assert result.best.value == max(trial.value for trial in result.trials)
    assert result.best.value > 0.85  # the best there is: 0.895
    assert result.best.settings["LORA_TARGETS"] == "[Linear]"
    shares = {
        row["variable"]: float(row["importance"]) for row in _table(tmp_path, "importance.csv")
    }
    assert shares.keys() == trivial.SETTINGS.space.keys()
    assert sum(shares.values()) == pytest.approx(1)
    assert result.importance == shares
    for word in (f"{result.best.value:.4f}", f"{result.reference:.4f}", "20 of 20", "seeds 1, 2"):
        assert word in result.summary


def test_what_was_learnt_is_used(tmp_path: Path) -> None:
    found = run_search(trivial.plan(trials=24), tmp_path / "tpe", run=trivial.Runs())
    blind = run_search(trivial.plan(trials=24, startup=24), tmp_path / "no", run=trivial.Runs())
    late = [sum(t.value for t in r.trials[12:]) for r in (found, blind)]
    assert late[0] > late[1]


def test_the_best_config_needs_no_variable(tmp_path: Path) -> None:
    result = run_search(trivial.plan(), tmp_path, run=trivial.Runs())
    text = (tmp_path / "search" / "best.yaml").read_text()
    assert f"# Trial {result.best.index + 1} of a search: LORA_RANK=" in text
    lora = yaml.safe_load(text)["model"]["init_args"]["lora"]
    assert lora["rank"] == f"${{oc.env:LORA_RANK, {result.best.settings['LORA_RANK']}}}"
    assert lora["targets"] == f"${{oc.env:LORA_TARGETS, {result.best.settings['LORA_TARGETS']}}}"
    trainer = yaml.safe_load(text)["trainer"]["init_args"]
    # A run of it must not write into the trial's finished job.
    assert trainer["default_root_dir"] == f"${{oc.env:OUTPUT_ROOT, {tmp_path}/search/best}}"


def test_pairing_and_unimodal_runs_are_those_of_the_plan(tmp_path: Path) -> None:
    runs = trivial.Runs()
    run_search(trivial.plan(), tmp_path, run=runs)
    others = [name for name in runs.ran if not name.startswith("clip_it")]
    assert len(set(others)) == len(others)
    assert sum(name.startswith("pairing/") for name in others) == 1
    assert sum(name.startswith("unimodal/") for name in others) == 2
    assert len(runs.ran) - len(others) == (8 + 1) * 2  # trials and the plan's own, two seeds


def test_equal_settings_are_trained_once(tmp_path: Path) -> None:
    runs = trivial.Runs()
    space = {"LORA_RANK": Choices((8, 16)), "LORA_TARGETS": Choices(("[Linear]", "[Conv2d]"))}
    result = run_search(trivial.plan(space=space, trials=12), tmp_path, run=runs)
    assert len(result.trials) == 12
    tried = {tuple(trial.settings.items()) for trial in result.trials}
    own = (("LORA_RANK", 16), ("LORA_TARGETS", "[Linear]"))  # the plan's own
    trained = [name for name in runs.ran if name.startswith("clip_it")]
    assert len(trained) == 2 * len(tried | {own})
    assert len(tried) < 12


def test_test_results_do_not_matter(tmp_path: Path) -> None:
    found = []
    for name, test in (("low", 0.1), ("high", 0.99), ("none", None)):
        run_search(trivial.plan(), tmp_path / name, run=trivial.Runs(test=test))
        found.append(_bytes(tmp_path / name))
    assert found[0] == found[1] == found[2]


def test_the_seed_of_the_sampler_fixes_the_trials(tmp_path: Path) -> None:
    results = [
        run_search(trivial.plan(seed=seed), tmp_path / str(n), run=trivial.Runs())
        for n, seed in enumerate((1, 1, 2))
    ]
    first, again, other = ([trial.settings for trial in r.trials] for r in results)
    assert first == again
    assert first != other
    assert len({str(settings) for settings in first}) > 1


def test_a_smaller_metric_may_be_better(tmp_path: Path) -> None:
    result = run_search(trivial.plan(direction="minimize"), tmp_path, run=trivial.Runs())
    assert result.best.value == min(trial.value for trial in result.trials)


def test_more_trials_go_on_with_a_search(tmp_path: Path) -> None:
    whole = run_search(trivial.plan(trials=9), tmp_path / "whole", run=trivial.Runs())
    run_search(trivial.plan(trials=5), tmp_path / "parts", run=trivial.Runs())
    runs = trivial.Runs()
    parts = run_search(trivial.plan(trials=9), tmp_path / "parts", run=runs)
    assert [t.settings for t in parts.trials] == [t.settings for t in whole.trials]
    assert len(runs.ran) == 4 * 2
    assert _bytes(tmp_path / "parts") == _bytes(tmp_path / "whole")


def test_a_finished_search_trains_nothing(tmp_path: Path) -> None:
    run_search(trivial.plan(), tmp_path, run=trivial.Runs())
    before = _bytes(tmp_path)
    runs = trivial.Runs()
    run_search(trivial.plan(), tmp_path, run=runs)
    assert (runs.ran, _bytes(tmp_path)) == ([], before)


def test_another_question_is_another_search(tmp_path: Path) -> None:
    run_search(trivial.plan(), tmp_path, run=trivial.Runs())
    changed = dataclasses.replace(trivial.plan(), environment={"MAX_STEPS": 7})
    runs = trivial.Runs()
    result = run_search(changed, tmp_path, run=runs)
    assert len(result.trials) == 8
    assert len([name for name in runs.ran if "trial_" in name]) == 16


def test_jobs_are_kept_busy(tmp_path: Path) -> None:
    runs = trivial.Runs()
    result = run_search(trivial.plan(trials=8), tmp_path, parallel=5, run=runs)
    assert runs.calls[1:] == [6, 6, 4]  # three trials of two seeds at once
    settings = [tuple(trial.settings.items()) for trial in result.trials]
    assert len(set(settings)) == len(settings)


def test_a_failed_trial_counts_and_the_next_call_tries_it_again(tmp_path: Path) -> None:
    plan = trivial.plan()
    first = run_search(plan, tmp_path, run=trivial.Runs(fails=("trial_3/seed_2",)))
    assert [t.index for t in first.trials if t.state == "failed"] == [2]
    row = _table(tmp_path)[2]
    assert (row["state"], row["value"]) == ("failed", "")
    assert "trial_3/seed_2" in row["message"]
    assert "out of memory" in row["message"]
    assert "Trial 3" in first.summary
    runs = trivial.Runs()
    second = run_search(plan, tmp_path, run=runs)
    assert {t.state for t in second.trials} == {"finished"}
    assert runs.ran == ["clip_it/bach/demo/trial_3/seed_2"]
    assert [t.settings for t in second.trials] == [t.settings for t in first.trials]


def test_trials_that_all_fail_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"all trials failed; the first: .*out of memory"):
        run_search(trivial.plan(), tmp_path, run=trivial.Runs(fails=("trial_",)))


def test_without_the_plans_own_runs_nothing_is_tried(tmp_path: Path) -> None:
    runs = trivial.Runs(fails=("clip_it/bach/demo/seed_2",))
    with pytest.raises(InputError, match=r"demo/seed_2 did not finish: out of memory"):
        run_search(trivial.plan(), tmp_path, run=runs)
    assert not any("trial_" in name for name in runs.ran)


def test_a_metric_that_is_not_there_is_named_before_any_trial(tmp_path: Path) -> None:
    runs = trivial.Runs()
    with pytest.raises(InputError, match=r"has no val/Accuracy; there are val/MulticlassAccuracy"):
        run_search(trivial.plan(metric="val/Accuracy"), tmp_path, run=runs)
    assert not any("trial_" in name for name in runs.ran)


def test_a_metric_that_is_no_number_is_refused(tmp_path: Path) -> None:
    run_search(trivial.plan(trials=1), tmp_path, run=trivial.Runs())
    path = next(tmp_path.glob("jobs/clip_it-*/work/session/results.json"))
    path.write_text('{"metrics": {"val": [{"val/A": {"mean": NaN}}]}}')
    job, _ = store.read_job(path.parents[2])
    with pytest.raises(InputError, match="is nan"):
        validation_metric(job, "val/A")


def test_no_importance_is_made_up(tmp_path: Path) -> None:
    same = {"PATIENCE": Choices((5, 10))}
    result = run_search(trivial.plan(space=same, trials=8), tmp_path / "same", run=trivial.Runs())
    assert result.importance == {}
    assert "too few trials differ" in result.summary
    assert result.best.index == 0  # the first of equal ones
    few = run_search(trivial.plan(trials=7), tmp_path / "few", run=trivial.Runs())
    assert few.importance == {}
    assert _table(tmp_path / "few", "importance.csv") == []


def test_an_unfinished_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    run_search(trivial.plan(trials=5), tmp_path, run=trivial.Runs())
    with (tmp_path / "search" / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 4, "worker_id": "x')
    result = run_search(trivial.plan(trials=6), tmp_path, run=trivial.Runs())
    assert [trial.state for trial in result.trials] == ["finished"] * 6


def test_a_plan_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no section `search`"):
        run_search(dataclasses.replace(trivial.PLAN, search=None), tmp_path, run=trivial.Runs())


def test_a_search_is_not_submitted_as_jobs(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(
        "seeds: [1]\ntasks: {bach: {cohort: 1}}\nbackbones: {demo: {}}\nmethods: {clip_it: {}}\n"
        "search: {trials: 2, space: {LORA_RANK: [4, 8]}}\n"
    )
    with pytest.raises(InputError, match="submit this command without --engine"):
        ablate(str(tmp_path / "plan.yaml"), tmp_path / "out", Options(engine="slurm"), print)
    assert not (tmp_path / "out").exists()


def test_without_optuna_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from pathlib import Path\n"
        "from clipit_eva.analysis.grid.plan.plan_file import read_plan\n"
        "from clipit_eva.analysis.grid.search.search_run import run_search\n"
        "from clipit_eva.tasks import configs\n"
        "from clipit_eva.errors import InputError\n"
        "plan = read_plan(configs.path('ablations/lora_search'))\n"
        "try:\n"
        "    run_search(plan, Path(sys.argv[1]))\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, text=True
    )
    assert done.stdout == 'a search needs Optuna: pip install "clipit-eva[search]"\n', done.stderr
    assert not (tmp_path / "out").exists()


def test_a_trial_of_a_live_worker_is_left_alone(tmp_path: Path) -> None:
    settings = dataclasses.replace(trivial.SETTINGS, trials=3)
    with open_study(tmp_path, "s", settings) as one, open_study(tmp_path, "s", settings) as two:
        (first,) = one.take(1)
        (second,) = two.take(1)
        assert (first.index, second.index) == (0, 1)
        one.fail(first, "out of memory")
        two.retry_failed()  # the other one has just tried
        assert [trial.state for trial in two.trials()] == ["failed", "running"]
    with open_study(tmp_path, "s", settings) as three:  # both have left, one with its trial undone
        three.retry_failed()
        found = [three.take(1)[0] for _ in range(3)]
        assert three.take(1) == []
        settings_of = {trial.index: trial.settings for trial in found}
        assert settings_of.keys() == {0, 1, 2}
        assert settings_of[0] == first.settings
        assert settings_of[1] == second.settings


def _start(folder: Path, trials: int, seconds: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(trials), str(seconds)],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _times_run(folder: Path) -> list[int]:
    return [len(p.read_text().splitlines()) for p in folder.glob("jobs/*/runs.txt")]


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_end(tmp_path: Path) -> None:
    trials = 12
    run_search(trivial.plan(trials=trials), tmp_path / "whole", run=trivial.Runs())
    folder = tmp_path / "killed"
    kills = 0
    for wanted in (2, 5, 9):  # trials that have been taken when the process is killed
        process = _start(folder, trials, 0.3)
        while process.poll() is None and len(list(folder.glob("jobs/clip_it-*"))) < 2 * wanted:
            time.sleep(0.05)
        time.sleep(0.1 * wanted / 2)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    process = _start(folder, trials, 0)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    assert _bytes(folder) == _bytes(tmp_path / "whole")
    assert set(_times_run(folder)) == {1}


@pytest.mark.slow
def test_workers_share_one_search(tmp_path: Path) -> None:
    trials = 24
    run_search(trivial.plan(trials=1), tmp_path, run=trivial.Runs())  # the runs that all need
    workers = [_start(tmp_path, trials, 0.3) for _ in range(3)]
    ended = [worker.communicate()[1].decode() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], ended
    done = [error.count(f"of {trials}: val/") for error in ended]
    assert sum(done) == trials - 1
    assert min(done) > 0
    rows = _table(tmp_path)
    assert [row["state"] for row in rows] == ["finished"] * trials
    assert len({row["LORA_ALPHA"] for row in rows}) == trials  # nobody tried what another did
    assert set(_times_run(tmp_path)) == {1}
    assert json.loads((tmp_path / "grid.json").read_text())["runs"]

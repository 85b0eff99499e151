"""From a plan to jobs: what is shared, what needs what, what a change makes run again."""

import dataclasses
import time
from pathlib import Path

import pytest

from clipit_eva.analysis.grid.plan import identity
from clipit_eva.analysis.grid.plan.expansion import expand
from clipit_eva.analysis.grid.plan.job import Grid, Job
from clipit_eva.analysis.grid.plan.plan_file import Factor, Plan, Selection, read_plan
from clipit_eva.analysis.grid.plan.planned_arms import planned_arms
from clipit_eva.errors import InputError
from clipit_eva.tasks.card import FOLDER


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two tasks on folders of two bytes, two backbones, two seeds, some factors."""
    for task in ("bach", "crc"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "image.tif").write_bytes(b"ab")
    (tmp_path / "reports.txt").write_text("one\ntwo\n")
    return Plan(
        seeds=(1, 2),
        tasks={task: {"DATA_ROOT": str(tmp_path / task)} for task in ("bach", "crc")},
        backbones={
            "s": {"MODEL_NAME": "pathology/kaiko_vits16", "IN_FEATURES": 384},
            "b": {"MODEL_NAME": "pathology/kaiko_vitb16", "IN_FEATURES": 768},
        },
        methods={"unimodal": {}, "text_only": {}, "clip_it": {}},
        factors={
            "no_text": Factor(environment={"DISTILL_WEIGHT": 0}),
            "shuffled": Factor(environment={"PAIRING_POLICY": "shuffled"}),
        },
        environment={"REPORTS": str(tmp_path / "reports.txt")},
    )


def _of(grid: Grid, kind: str) -> list[Job]:
    return [job for job in grid.jobs.values() if job.kind == kind]


def _named(grid: Grid, name: str) -> Job:
    (job,) = [c for c in grid.jobs.values() if name in (c.name, *c.aliases)]
    return job


def test_work_that_jobs_have_in_common_is_one_job(plan: Plan, tmp_path: Path) -> None:
    grid = expand(plan, tmp_path / "out")
    tasks, backbones, seeds = 2, 2, 2
    assert len(_of(grid, "unimodal")) == tasks * backbones * seeds
    assert len(_of(grid, "clip_it")) == tasks * backbones * seeds * 3  # full, no_text, shuffled
    assert len(_of(grid, "text_only")) == tasks * seeds  # no backbone is in it
    assert len(_of(grid, "pairing")) == tasks * 2  # nearest and shuffled
    (report,) = _of(grid, "report")
    assert len(report.dependencies) == 8 + 24 + 4


def test_clip_it_starts_from_its_own_unimodal_run_and_pairing(plan: Plan, tmp_path: Path) -> None:
    grid = expand(plan, tmp_path / "out")
    for backbone in ("s", "b"):
        for seed in (1, 2):
            job = _named(grid, f"clip_it/crc/{backbone}/shuffled/seed_{seed}")
            head = _named(grid, f"unimodal/crc/{backbone}/seed_{seed}")
            pairing = _named(grid, "pairing/crc/shuffled")
            assert set(job.dependencies) == {head.digest, pairing.digest}
            assert job.environment["VISION_HEAD_CHECKPOINT"] == str(head.work)
            assert job.environment["PAIRING_TABLE"] == str(pairing.work / "pairs.parquet")
            assert pairing.environment["PAIRING_TABLE"] == job.environment["PAIRING_TABLE"]
            assert job.environment["EVA_GLOBAL_SEED"] == str(seed)
            assert job.environment["OUTPUT_ROOT"] == str(job.work)


def test_a_run_without_text_needs_no_pairing(plan: Plan, tmp_path: Path) -> None:
    grid = expand(plan, tmp_path / "out")
    job = _named(grid, "clip_it/bach/s/no_text/seed_1")
    assert [grid.jobs[digest].kind for digest in job.dependencies] == ["unimodal"]


def test_the_head_is_trained_even_if_no_method_asks_for_it(plan: Plan, tmp_path: Path) -> None:
    alone = dataclasses.replace(plan, methods={"clip_it": {}}, factors={})
    assert len(_of(expand(alone, tmp_path / "out"), "unimodal")) == 8


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"environment": {"LORA_RANK": 8}}, {"pairing", "unimodal", "text_only"}),
        ({"environment": {"CLIP_MODEL": "plip"}}, {"unimodal"}),
        ({"methods": {"unimodal": {"LR_VALUE": 0.1}}}, {"pairing", "text_only"}),
        ({"methods": {"text_only": {"LR_VALUE": 0.1}}}, {"pairing", "unimodal", "clip_it"}),
        # Where and how fast something runs makes no other result, nor does a batch of embeddings.
        (
            {"environment": {"N_DATA_WORKERS": 7, "ACCELERATOR": "gpu"}},
            {"pairing", "unimodal", "text_only", "clip_it", "report"},
        ),
        ({"environment": {"BATCH_SIZE": 8}}, {"pairing"}),
    ],
)
def test_a_change_runs_what_depends_on_it_and_nothing_else(
    plan: Plan, tmp_path: Path, change: dict, stays: set[str]
) -> None:
    before = expand(plan, tmp_path / "out")
    merged = {field: {**getattr(plan, field), **value} for field, value in change.items()}
    after = expand(dataclasses.replace(plan, **merged), tmp_path / "out")
    for kind in ("pairing", "unimodal", "text_only", "clip_it", "report"):
        old = {job.digest for job in _of(before, kind)}
        new = {job.digest for job in _of(after, kind)}
        if kind in stays:
            assert old == new, kind
        elif kind == "clip_it" and "LORA_RANK" in str(change):
            assert not old & new
        else:
            assert old != new, kind


def test_a_value_given_as_its_default_is_the_default(plan: Plan, tmp_path: Path) -> None:
    more = {**plan.environment, "LORA_ALPHA": 8.0, "DISTILL_WEIGHT": "1", "LORA_TEXT": False}
    given = expand(dataclasses.replace(plan, environment=more), tmp_path / "out")
    assert given.jobs.keys() == expand(plan, tmp_path / "out").jobs.keys()


def test_inputs_count_by_what_they_hold(plan: Plan, tmp_path: Path) -> None:
    before = expand(plan, tmp_path / "out")
    moved = tmp_path / "moved.txt"
    moved.write_text("one\ntwo\n")
    renamed = dataclasses.replace(plan, environment={"REPORTS": str(moved)})
    assert expand(renamed, tmp_path / "out").jobs.keys() == before.jobs.keys()
    other = tmp_path / "other.txt"
    other.write_text("one\nthree\n")
    changed = expand(dataclasses.replace(plan, environment={"REPORTS": str(other)}), tmp_path / "o")
    assert {c.digest for c in _of(changed, "unimodal")} == {
        c.digest for c in _of(before, "unimodal")
    }
    assert not {c.digest for c in _of(changed, "pairing")} & before.jobs.keys()


def test_lists_make_arms_and_equal_ones_are_trained_once(plan: Plan, tmp_path: Path) -> None:
    factor = Factor(environment={"DISTILL_WEIGHT": [0, 0.3, 1]})
    changed = dataclasses.replace(plan, factors={"lambda": factor}, contrasts=False)
    grid = expand(changed, tmp_path / "out")
    assert len(_of(grid, "clip_it")) == 8 * 3  # full (= lambda_1), lambda_0 and lambda_0.3
    full = _named(grid, "clip_it/bach/s/seed_1")
    assert full.aliases == ("clip_it/bach/s/lambda_1/seed_1",)
    assert _named(grid, "clip_it/bach/s/lambda_0.3/seed_1").environment["DISTILL_WEIGHT"] == "0.3"


def _clip_it_names(grid: Grid) -> set[str]:
    names = {name for job in _of(grid, "clip_it") for name in job.names}
    return {name.split("/")[3] for name in names if name.count("/") == 4}


def test_what_tells_whose_gain_it_is_is_trained_unless_the_plan_says_not(
    plan: Plan, tmp_path: Path
) -> None:
    bare = dataclasses.replace(plan, factors={})
    assert _clip_it_names(expand(bare, tmp_path / "out")) == {"no_text", "shuffled_pairs"}
    without = expand(dataclasses.replace(bare, contrasts=False), tmp_path / "out")
    assert _clip_it_names(without) == set()
    # The plan's own factors have them under other names: nothing is trained twice.
    assert _clip_it_names(expand(plan, tmp_path / "out")) == {"no_text", "shuffled"}
    listed = {"lambda": Factor(environment={"DISTILL_WEIGHT": [0, 3]})}
    found = _clip_it_names(expand(dataclasses.replace(plan, factors=listed), tmp_path / "out"))
    assert found == {"lambda_0", "lambda_3", "shuffled_pairs"}
    unimodal = dataclasses.replace(plan, methods={"unimodal": {}}, factors={})
    assert not _of(expand(unimodal, tmp_path / "out"), "clip_it")


def test_each_number_of_labels_has_all_arms_and_its_own_vision_heads(
    plan: Plan, tmp_path: Path
) -> None:
    grid = expand(dataclasses.replace(plan, labels_per_class=(5, None)), tmp_path / "out")
    assert len(_of(grid, "unimodal")) == 2 * 8
    assert len(_of(grid, "clip_it")) == 2 * 24
    for labels, value in (("5", "5"), ("all", "null")):
        task = f"bach:labels_per_class={labels}"
        job = _named(grid, f"clip_it/{task}/s/no_text/seed_1")
        assert job.environment["LABELS_PER_CLASS"] == value
        (head,) = (grid.jobs[digest] for digest in job.dependencies)
        assert head.name == f"unimodal/{task}/s/seed_1"
        assert head.environment["LABELS_PER_CLASS"] == value
    arms = planned_arms(grid)
    full = [job for job in _of(grid, "clip_it") if arms[job.digest].name == "clip_it"]
    assert len(full) == 2 * 8


def test_a_factor_of_labels_starts_from_heads_that_saw_the_same(plan: Plan, tmp_path: Path) -> None:
    few = {"few": Factor(environment={"LABELS_PER_CLASS": 5, "LABELS_SEED": 3})}
    grid = expand(dataclasses.replace(plan, factors=few), tmp_path / "out")
    job = _named(grid, "clip_it/bach:labels_per_class=5:labels_seed=3/s/few/seed_1")
    head = next(grid.jobs[d] for d in job.dependencies if grid.jobs[d].kind == "unimodal")
    assert head.environment["LABELS_PER_CLASS"] == "5"
    assert head.environment["LABELS_SEED"] == "3"


def test_factors_extend_each_other(plan: Plan, tmp_path: Path) -> None:
    factors = {
        "text_lora": Factor(environment={"LORA_TEXT": True}),
        "rank_8": Factor(environment={"LORA_RANK": 8}, extends="text_lora"),
    }
    grid = expand(dataclasses.replace(plan, factors=factors), tmp_path / "out")
    job = _named(grid, "clip_it/bach/s/rank_8/seed_1")
    assert job.environment["LORA_TEXT"] == "true"
    assert job.environment["LORA_RANK"] == "8"


def test_replaced_pairs_are_made_of_the_shared_pairing(plan: Plan, tmp_path: Path) -> None:
    factors = {"replaced": Factor(environment={"REPLACED_SHARE": [0, 0.5, 1]})}
    changed = dataclasses.replace(plan, factors=factors, contrasts=False)
    grid = expand(changed, tmp_path / "out")
    assert len(_of(grid, "pairing")) == 2
    assert len(_of(grid, "replacement")) == 4
    job = _named(grid, "clip_it/bach/s/replaced_0.5/seed_1")
    (replacement,) = [grid.jobs[d] for d in job.dependencies if grid.jobs[d].kind == "replacement"]
    assert [grid.jobs[digest].kind for digest in replacement.dependencies] == ["pairing"]
    assert "REPLACED_SHARE" not in job.environment
    assert _named(grid, "clip_it/bach/s/seed_1").aliases == ("clip_it/bach/s/replaced_0/seed_1",)


def test_prompts_are_those_of_the_task(plan: Plan, tmp_path: Path) -> None:
    factors = {"prompts": Factor(environment={"REPORTS": "prompts:{task}"})}
    grid = expand(dataclasses.replace(plan, factors=factors), tmp_path / "out")
    assert _named(grid, "pairing/crc/prompts").environment["REPORTS"] == "prompts:crc"
    assert _named(grid, "clip_it/bach/b/prompts/seed_2").environment["REPORTS"] == "prompts:bach"


def test_include_and_exclude(plan: Plan, tmp_path: Path) -> None:
    changed = dataclasses.replace(
        plan,
        include=(
            Factor("clip_it", {"LORA_RANK": 8}, name="rank_8", where=Selection(("bach",), ("s",))),
        ),
        exclude=(Selection(arms=("no_text",)), Selection(tasks=("crc",), backbones=("b",))),
    )
    grid = expand(changed, tmp_path / "out")
    names = {n for c in _of(grid, "clip_it") for n in (c.name, *c.aliases)}
    assert {name for name in names if "rank_8" in name} == {
        "clip_it/bach/s/rank_8/seed_1",
        "clip_it/bach/s/rank_8/seed_2",
    }
    assert not [name for name in names if "no_text" in name or name.startswith("clip_it/crc/b")]
    assert _named(grid, "clip_it/crc/s/seed_1")


def test_a_drawn_cohort_counts_before_and_after_it_is_drawn(tmp_path: Path) -> None:
    plan = Plan((1,), {"bach": {}}, {"demo": {}}, {"clip_it": {}}, cohorts={"bach": 1})
    before = expand(plan, tmp_path)
    (cohort,) = _of(before, "cohort")
    (cohort.work / "bach").mkdir(parents=True)
    (cohort.work / "bach" / "image.tif").write_bytes(b"x")
    (cohort.work / "reports.parquet").write_bytes(b"x")
    assert expand(plan, tmp_path).jobs.keys() == before.jobs.keys()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"environment": {"LORA_RNAK": 8}}, ["LORA_RNAK", "did you mean LORA_RANK"]),
        ({"factors": {"a": Factor(environment={"DISTIL_WEIGHT": 0})}}, ["arm a", "DISTILL_WEIGHT"]),
        (
            {"factors": {"a": Factor("unimodal", {"WORD_DROPOUT": 0.1})}},
            ["arm a", "unknown factor WORD_DROPOUT"],
        ),
        (
            {"factors": {"a": Factor(environment={"OUTPUT_ROOT": "x"})}},
            ["OUTPUT_ROOT", "one folder"],
        ),
        ({"tasks": {"camelyon": {}}}, ["camelyon"]),
        (
            {"factors": {"a": Factor(extends="b"), "b": Factor(extends="a")}},
            ["circle", "a -> b -> a"],
        ),
        ({"factors": {"a": Factor(extends="c")}}, ["factors.a.extends", "'c'"]),
        (
            {
                "factors": {
                    "a": Factor(environment={"LORA_RANK": [4, 8]}),
                    "a_4": Factor(environment={"LORA_RANK": 2}),
                }
            },
            ["'a_4'", "one folder"],
        ),
        ({"exclude": (Selection(arms=("no_txt",)),)}, ["exclude[0]", "matches no job"]),
        ({"exclude": (Selection(tasks=("bach", "crc")),)}, ["no job"]),
        (
            {"include": (Factor("clip_it", {"LORA_RANK": 2}, None, "x", Selection(("bch",))),)},
            ["include[0].task", "'bch'"],
        ),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(
    plan: Plan, tmp_path: Path, change: dict, words: list[str]
) -> None:
    with pytest.raises(InputError) as refusal:
        expand(dataclasses.replace(plan, **change), tmp_path / "out")
    message = str(refusal.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not (tmp_path / "out").exists()


def test_a_thousand_jobs_expand_in_two_seconds(plan: Plan, tmp_path: Path) -> None:
    ranks = Factor(environment={"LORA_RANK": list(range(1, 13)), "LORA_ALPHA": [1, 2, 4, 16]})
    large = dataclasses.replace(plan, seeds=tuple(range(1, 6)), factors={"lora": ranks})
    start = time.process_time()  # other tests run beside
    grid = expand(large, tmp_path / "out")
    seconds = time.process_time() - start
    assert len(grid.jobs) > 1000
    assert seconds < 2


def test_a_task_of_ones_own_is_given_by_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    card = FOLDER / "tasks" / "bach.yaml"
    (tmp_path / "mine.yaml").write_text(card.read_text())
    (tmp_path / "reports.txt").write_text("one\ntwo\n")
    (tmp_path / "plan.yaml").write_text(
        "seeds: [1]\n"
        f"tasks: {{mine: {{file: mine.yaml, DATA_ROOT: {tmp_path}}}}}\n"
        "backbones: {s: {MODEL_NAME: pathology/kaiko_vits16, IN_FEATURES: 384}}\n"
        "methods: {unimodal: {}, clip_it: {}}\n"
        "factors: {prompts: {REPORTS: 'prompts:{task}'}}\n"
        f"environment: {{REPORTS: {tmp_path / 'reports.txt'}}}\n"
    )
    plan = read_plan(tmp_path / "plan.yaml")
    grid = expand(plan, tmp_path / "out")
    job = _named(grid, "clip_it/mine/s/seed_1")
    config = Path(job.command[-1])
    assert config.is_relative_to(tmp_path / "cache")
    assert "eva.vision.datasets.BACH" in config.read_text()
    prompts = _named(grid, "clip_it/mine/s/prompts/seed_1").environment["REPORTS"]
    assert prompts == f"prompts:{tmp_path / 'mine.yaml'}"
    assert {arm.name for arm in planned_arms(grid).values()} == {
        "unimodal", "clip_it", "class_prompts", "no_text", "shuffled_pairs",
    }  # fmt: skip


def test_a_label_that_is_mended_in_the_index_makes_other_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "mine.yaml").write_text(
        "title: Mine\ndataset: clipit_eva.data.LabelledImages\narguments: {index: index.csv}\n"
        "splits: {train: train, test: test}\nclasses: [a, b]\nmetric: val/MulticlassAccuracy\n"
        "patience: 5\n"
    )
    (tmp_path / "plan.yaml").write_text(
        f"seeds: [1]\ntasks: {{mine: {{file: mine.yaml, DATA_ROOT: {tmp_path / 'data'}}}}}\n"
        "backbones: {s: {MODEL_NAME: pathology/kaiko_vits16, IN_FEATURES: 384}}\n"
        "methods: {unimodal: {}}\n"
    )
    plan, digests = read_plan(tmp_path / "plan.yaml"), []
    (tmp_path / "data").mkdir()
    for labels in ("ab", "ba"):
        rows = "".join(f"{n}.png,{label}\n" for n, label in enumerate(labels))
        (tmp_path / "data" / "index.csv").write_text(f"filename,label\n{rows}")
        identity.fingerprint.cache_clear()  # of another process
        digests.append(set(expand(plan, tmp_path / "out").jobs))
    assert not digests[0] & digests[1]


def test_a_card_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = (
        "seeds: [1]\ntasks: {mine: {file: no.yaml}}\nbackbones: {s: {}}\nmethods: {unimodal: {}}\n"
    )
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(InputError, match=r"no\.yaml"):
        expand(read_plan(tmp_path / "plan.yaml"), tmp_path / "out")


def test_images_that_change_are_not_embedded_once(plan: Plan, tmp_path: Path) -> None:
    changed = dataclasses.replace(
        plan, environment={**plan.environment, "AUGMENTATION": "flips_and_jitter"}
    )
    grid = expand(changed, tmp_path / "out")
    assert not _of(grid, "embeddings")
    assert {Path(job.command[-1]).parent.name for job in _of(grid, "unimodal")} == {"unimodal"}
    plain = _of(expand(plan, tmp_path / "out"), "unimodal")
    assert {Path(job.command[-1]).parent.name for job in plain} == {"unimodal_cached"}


def test_the_authors_recipe_has_their_configs_and_the_plans_heads(
    plan: Plan, tmp_path: Path
) -> None:
    tissue = {"RECIPE": "authors", "REPORT_TISSUE": "colon"}
    plan = dataclasses.replace(plan, factors={"authors": Factor(environment=tissue)})
    grid = expand(plan, tmp_path / "out")
    job = _named(grid, "clip_it/crc/s/authors/seed_1")
    assert job.command[-1].endswith("clip_it_authors/crc.yaml")
    before = {grid.jobs[digest].name for digest in job.dependencies}
    assert before == {"unimodal/crc/s/seed_1", "pairing/crc/authors"}
    assert planned_arms(grid)[job.digest].name == "clip_it_authors"


def test_an_unknown_recipe_is_refused(plan: Plan, tmp_path: Path) -> None:
    plan = dataclasses.replace(plan, factors={"a": Factor(environment={"RECIPE": "mine"})})
    with pytest.raises(InputError, match=r"^RECIPE=mine must be authors, or left out"):
        expand(plan, tmp_path / "out")

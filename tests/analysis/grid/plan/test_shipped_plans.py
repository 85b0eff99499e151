"""The shipped plans: how many jobs, what they share, and under which names reports tell them."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from clipit_eva.analysis.grid.plan.expansion import expand
from clipit_eva.analysis.grid.plan.job import Grid, Job
from clipit_eva.analysis.grid.plan.plan_file import METHODS, read_plan
from clipit_eva.analysis.grid.plan.planned_arms import planned_arms
from clipit_eva.tasks import configs

Shipped = Callable[[str], Grid]

BACKBONES = {  # of the paper: name in eva, features, normalisation
    "uni": ("pathology/mahmood_uni", 1024, "0.485"),
    "dino_vitl14": ("pathology/kaiko_vitl14", 1024, "0.5"),
    "vitb16": ("pathology/kaiko_vitb16", 768, "0.5"),
    "vits16": ("pathology/kaiko_vits16", 384, "0.5"),
    "vitb8": ("pathology/kaiko_vitb8", 768, "0.5"),
    "vits8": ("pathology/kaiko_vits8", 384, "0.5"),
}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    """Expands a shipped plan where no variable is set and no data lies about."""
    monkeypatch.chdir(tmp_path)
    for name in ("REPORTS", "PCAM_ROOT", "BACH_ROOT", "CRC_ROOT", "MODEL_NAME", "IN_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    return lambda name: expand(read_plan(configs.path(f"ablations/{name}")), tmp_path / "out")


def _of(grid: Grid, kind: str) -> list[Job]:
    return [job for job in grid.jobs.values() if job.kind == kind]


def _names(job: Job) -> set[str]:
    return {name.split("/")[-2] for name in (job.name, *job.aliases)}


def test_every_shipped_plan_expands(shipped: Shipped) -> None:
    names = [n.removeprefix("ablations/") for n in configs.names() if n.startswith("ablations/")]
    assert {"paper", "table1", "controls", "lora_search", "planted_truth", "demo"} <= set(names)
    for name in names:
        assert shipped(name).jobs, name


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        # full, no LoRA, no text, shuffled, word dropout 0.3, and all but shuffled by the authors'
        # recipe on reports of the organ; 3 seeds
        ("paper", {"pairing": 3, "embeddings": 1, "unimodal": 3, "clip_it": 9 * 3, "report": 1}),
        # 6 backbones x 3 tasks x 3 seeds, full, no text, shuffled, authors; three pairings a task,
        # embeddings a task and backbone
        (
            "table1",
            {"pairing": 9, "embeddings": 18, "unimodal": 54, "clip_it": 4 * 54, "report": 1},
        ),
        # full; 3 kinds of pairs; prompts; text LoRA with and without gradient; lambda 0, .3, 3;
        # word dropout .1, .3, .5, .7, .9; top-k 5; 3 seeds
        (
            "controls",
            {
                "pairing": 1 + 3 + 1 + 1,
                "embeddings": 1,
                "unimodal": 3,
                "clip_it": (1 + 3 + 1 + 2 + 3 + 5 + 1) * 3,
                "report": 1,
            },
        ),
        # 5 labels a class and all; no text, shuffled, two settings of 5 shares each; 5 seeds
        (
            "planted_truth",
            {
                "cohort": 1,
                "embeddings": 1,
                "pairing": 2,
                "replacement": 4,
                "unimodal": 2 * 5,
                "clip_it": 2 * (2 + 2 * 5) * 5,
                "report": 1,
            },
        ),
        # what trials are compared with: 2 seeds
        ("lora_search", {"pairing": 1, "embeddings": 1, "unimodal": 2, "clip_it": 2}),
    ],
)
def test_plans_have_the_jobs_of_the_paper(
    shipped: Shipped, plan: str, expected: Mapping[str, int]
) -> None:
    assert Counter(job.kind for job in shipped(plan).jobs.values()) == expected


@pytest.mark.parametrize("plan", ["paper", "table1", "controls", "demo"])
def test_plans_can_tell_whose_gain_it_is(shipped: Shipped, plan: str) -> None:
    arms = {arm.name for arm in planned_arms(shipped(plan)).values()}
    assert {"unimodal", "clip_it", "no_text", "shuffled_pairs"} <= arms


@pytest.mark.parametrize("plan", ["paper", "table1", "controls", "planted_truth", "demo"])
def test_work_is_shared(shipped: Shipped, plan: str) -> None:
    grid = shipped(plan)
    heads = {job.digest: job for job in _of(grid, "unimodal")}
    places = [(job.name.split("/")[1:3], job.seed) for job in heads.values()]
    assert all(places.count(place) == 1 for place in places)
    for job in _of(grid, "clip_it"):
        (head,) = [heads[digest] for digest in job.dependencies if digest in heads]
        assert (head.seed, head.name.split("/")[1:3]) == (job.seed, job.name.split("/")[1:3])
        reads_text = _names(job).isdisjoint({"no_text", "lambda_0", "authors_no_text"})
        kinds = {grid.jobs[digest].kind for digest in job.dependencies}
        assert kinds == {"unimodal"} | (kinds - {"unimodal"} if reads_text else set())
        assert reads_text == ("PAIRING_TABLE" in job.environment)


def test_the_backbones_are_those_of_the_paper(shipped: Shipped) -> None:
    found = {
        job.name.split("/")[2]: tuple(
            job.environment[v] for v in ("MODEL_NAME", "IN_FEATURES", "NORMALIZE_MEAN")
        )
        for job in _of(shipped("table1"), "clip_it")
    }
    assert found.keys() == BACKBONES.keys()
    for name, (model, features, mean) in BACKBONES.items():
        assert found[name][:2] == (model, str(features))
        assert found[name][2].startswith(f"[{mean}")


def test_plans_that_share_a_folder_share_runs(shipped: Shipped) -> None:
    paper, table, controls = (shipped(name) for name in ("paper", "table1", "controls"))
    uni = {c.digest for c in _of(table, "clip_it") if "patch_camelyon/uni/" in c.name}
    assert uni <= paper.jobs.keys()
    # No text is lambda 0, dropout 0.3 is in both; no LoRA and the authors' are the paper's alone.
    alone = paper.jobs.keys() - controls.jobs.keys()
    kinds = Counter(paper.jobs[digest].kind for digest in alone)
    assert kinds == {"pairing": 1, "clip_it": 5 * 3, "report": 1}


def test_authors_recipe_reads_reports_of_the_organ(shipped: Shipped) -> None:
    grid = shipped("table1")
    tissues = {}
    for job in _of(grid, "clip_it"):
        if job.environment.get("RECIPE") == "authors":
            before = [grid.jobs[digest] for digest in job.dependencies]
            (pairing,) = (one for one in before if one.kind == "pairing")
            tissue = {one.environment["REPORT_TISSUE"] for one in (job, pairing)}
            tissues.setdefault(job.name.split("/")[1], set()).update(tissue)
            assert job.command[-1].endswith(f"clip_it_authors/{job.name.split('/')[1]}.yaml")
    assert tissues == {"patch_camelyon": {"breast"}, "bach": {"breast"}, "crc": {"colon"}}


def test_paths_come_from_the_environment(shipped: Shipped, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = {"patch_camelyon": "PCAM_ROOT", "bach": "BACH_ROOT", "crc": "CRC_ROOT"}
    for name in [*roots.values(), "REPORTS"]:
        monkeypatch.setenv(name, f"/data/{name}")
    for job in _of(shipped("table1"), "clip_it"):
        task = job.name.split("/")[1]
        assert job.environment["DATA_ROOT"] == f"/data/{roots[task]}"
        assert job.environment["REPORTS"] == "/data/REPORTS"


def test_the_backbone_of_the_search_comes_from_the_environment(
    shipped: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_NAME", "pathology/kaiko_vits8")
    monkeypatch.setenv("IN_FEATURES", "384")
    monkeypatch.setenv("NORMALIZE_MEAN", "[0.5,0.5,0.5]")
    for job in _of(shipped("lora_search"), "clip_it"):
        assert job.environment["MODEL_NAME"] == "pathology/kaiko_vits8"
        assert job.environment["IN_FEATURES"] == "384"
        assert job.environment["NORMALIZE_MEAN"] == "[0.5,0.5,0.5]"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (
            "paper",
            "unimodal clip_it no_lora no_text shuffled_pairs word_dropout_30 clip_it_authors"
            " clip_it_authors+no_text_lora+no_lora clip_it_authors+no_text"
            " clip_it_authors+word_dropout_30",
        ),
        (
            "controls",
            "unimodal clip_it shuffled_pairs random_pairs constant_pairs class_prompts text_lora"
            " text_lora+stop_gradient no_text lambda_0.3 lambda_3 word_dropout_10 word_dropout_30"
            " word_dropout_50 word_dropout_70 word_dropout_90 top-k_5",
        ),
        (
            "planted_truth",
            2
            * (
                "unimodal no_text shuffled_pairs clip_it distillation_centred_cosine+lambda_1 "
                + " ".join(
                    f"replaced_pairs_{share} "
                    f"replaced_pairs_{share}+distillation_centred_cosine+lambda_1"
                    for share in (10, 25, 50, 100)
                )
                + " "
            ),
        ),
        ("demo", "unimodal text_only clip_it no_lora no_text word_dropout_30 shuffled_pairs"),
    ],
)
def test_reports_tell_the_arms_of_a_plan(shipped: Shipped, plan: str, expected: str) -> None:
    grid = shipped(plan)
    arms = planned_arms(grid)
    jobs = [job for method in METHODS for job in _of(grid, method) if job.seed == 1]
    # Each job of a seed is an arm of its own.
    assert Counter(arms[job.digest].name for job in jobs) == Counter(expected.split())

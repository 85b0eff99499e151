"""What of an environment fixes a config's result."""

from pathlib import Path

from clipit_eva.analysis.grid.plan import variables
from clipit_eva.tasks import configs

CONFIG = """
# a comment
trainer:
  default_root_dir: ${oc.env:OUTPUT_ROOT, logs/${oc.env:MODEL_NAME, vit}/x}
  max_steps: ${oc.env:MAX_STEPS, 100}
  devices: ${oc.env:NUM_DEVICES, 1}
data:
  root: ${oc.env:DATA_ROOT, ./data}
  mean: ${oc.env:NORMALIZE_MEAN, [0.5, 0.5, 0.5]}
  batch: ${oc.env:BATCH_SIZE, 64}
  patients: ${oc.env:REPORT_TISSUE}
"""


def _config(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_variables_and_defaults_are_those_of_the_text(tmp_path: Path) -> None:
    assert configs.variables(_config(tmp_path)) == {
        "OUTPUT_ROOT": "logs/${oc.env:MODEL_NAME, vit}/x",
        "MAX_STEPS": "100",
        "NUM_DEVICES": "1",
        "DATA_ROOT": "./data",
        "NORMALIZE_MEAN": "[0.5, 0.5, 0.5]",
        "BATCH_SIZE": "64",
        "REPORT_TISSUE": "",
    }


def test_places_files_and_speed_do_not_count(tmp_path: Path) -> None:
    found = variables.effective(_config(tmp_path), {"MAX_STEPS": "100.0"}, trains=True)
    assert found == {
        "MAX_STEPS": 100,
        "NORMALIZE_MEAN": [0.5, 0.5, 0.5],
        "BATCH_SIZE": 64,
        "REPORT_TISSUE": None,
    }


def test_batches_count_only_where_something_is_trained(tmp_path: Path) -> None:
    assert "BATCH_SIZE" not in variables.effective(_config(tmp_path), {}, trains=False)


def test_comments_do_not_count(tmp_path: Path) -> None:
    first, other, third = (tmp_path / f"{number}.yaml" for number in range(3))
    first.write_text(CONFIG)
    other.write_text(CONFIG.replace("# a comment", "# another"))
    assert variables.text_digest(first) == variables.text_digest(other)
    third.write_text(CONFIG.replace("max_steps", "max_epochs"))
    assert variables.text_digest(first) != variables.text_digest(third)


def test_values_become_text_that_yaml_reads_back() -> None:
    values = {True: "true", None: "null", 0.3: "0.3", 5: "5", "a b": "a b"}
    for value, text in values.items():
        assert variables.as_text(value) == text
    assert variables.as_text([0.5, 1]) == "[0.5, 1]"
    assert variables.as_text({"a": [1]}) == "{a: [1]}"

"""Settings of the SLURM engine: what is read, what is refused."""

from typing import Any

import pytest

from clipit_eva.analysis.grid.engines.slurm_settings import read_settings
from clipit_eva.errors import InputError


def test_kinds_differ_from_the_rest_only_in_what_they_say() -> None:
    settings = read_settings(
        {
            "partition": "gpu,long",
            "gpus": 1,
            "memory": "32G",
            "time": "4:00:00",
            "max_running": 8,
            "parameters": {"qos": "high", "mail_type": "END"},
            "kinds": {"report": {"gpus": 0, "parameters": {"qos": "low"}}},
        }
    )
    report, training = settings.of("report"), settings.of("clip_it")
    assert training == {
        "partition": "gpu,long", "gpus-per-node": 1, "mem": "32G", "time": "4:00:00",
        "qos": "high", "mail-type": "END",
    }  # fmt: skip
    assert report == {**training, "gpus-per-node": 0, "qos": "low"}
    assert settings.max_running == 8


def test_nothing_set_leaves_all_to_the_cluster() -> None:
    assert read_settings({}) == read_settings({"time": None, "kinds": None})
    assert read_settings({}).of("clip_it") == {}
    assert read_settings({}).max_running is None


# man sbatch, --time
@pytest.mark.parametrize(
    "text", ["30", "30:00", "0:01", "30:01", "4:30:00", "2-0", "1-02:30", "1-02:30:00"]
)
def test_time_is_that_of_sbatch(text: str) -> None:
    assert read_settings({"time": text}).of("clip_it") == {"time": text}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"partion": "gpu"}, r"^slurm\.partion is unknown; did you mean partition\?$"),
        (
            {"kinds": {"report": {"max_running": 1}}},
            r"slurm\.kinds\.report\.max_running is unknown",
        ),
        ({"kinds": {"report": {"gpu": 1}}}, r"slurm\.kinds\.report\.gpu .* did you mean gpus\?"),
        ({"kinds": ["report"]}, r"slurm\.kinds must be a mapping"),
        ({"kinds": {"report": 1}}, r"slurm\.kinds\.report must be a mapping"),
        ({"gpus": -1}, r"slurm\.gpus is -1; .* at least 0"),
        ({"gpus": True}, r"slurm\.gpus is True"),
        ({"cpus": 0}, r"slurm\.cpus is 0; .* at least 1"),
        ({"max_running": 0}, r"slurm\.max_running is 0; .* at least 1"),
        ({"memory": 32}, r"slurm\.memory is 32; .* such as 32G"),
        ({"memory": "32 GB"}, r"slurm\.memory"),
        ({"time": 14400}, r"slurm\.time is 14400; write it in quotes"),
        ({"time": "4h"}, r"slurm\.time is '4h'; write it as \"HH:MM:SS\""),
        ({"time": "0"}, r"slurm\.time is '0'; it must be above zero"),
        ({"partition": "a b"}, r"slurm\.partition is 'a b'; it must be a name"),
        ({"account": 7}, r"slurm\.account is 7"),
        ({"parameters": {"dependency": "singleton"}}, r"dependency is set by the grid"),
        ({"parameters": {"kill_on_invalid_dep": "no"}}, r"set by the grid"),
        ({"parameters": {"export": "HF_TOKEN=x"}}, r"export .* none of it is written to a file"),
        ({"parameters": {"mem": "1G"}}, r"parameters\.mem: give it as memory"),
        ({"parameters": {"q": "high"}}, r"parameters\.q is no long option"),
        ({"parameters": {"qos": "high\nrm"}}, r"parameters\.qos must be one line"),
        ({"parameters": {"qos": ["high"]}}, r"it must be a text, a number, or true"),
        ({"parameters": {"exclusive": False}}, r"it must be a text, a number, or true"),
    ],
)
def test_mistakes_are_told_in_one_line(content: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_settings(content)
    assert "\n" not in str(error.value)

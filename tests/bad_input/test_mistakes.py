"""A user's mistakes: one line, status 2, nothing half written; all in docs/mistakes.md."""

import shlex

import pytest
from forked import run_process
from wrong_input import arguments, environment, error_line, files_below, problems, row, run

from clipit_eva import cli
from clipit_eva.tasks import configs

pytestmark = pytest.mark.slow

AS_PROCESSES = {
    "predictions": "a folder without runs",
    "settings": "`N_RUNS=0`",
}
"""Cases that are run as the installed scripts, too, by their area."""


def test_mistake(area, case, server, shared, tmp_path, table, rows) -> None:
    before = files_below(shared)
    ended, made = run(case, server, tmp_path, shared)
    wrong = problems(case, ended, made)
    assert not wrong, "\n".join([*wrong, ended.output[-3000:]])
    assert files_below(shared) == before
    own = row(case, ended, shared, tmp_path)
    rows.setdefault(area, []).append(own)
    assert table is None or own in table, "run `nox -s mistakes`"


def test_table_has_each_mistake_once(table, all_cases) -> None:
    if table is None:
        pytest.skip("it is being written")
    shown = [line.split(" | ")[0] for line in table if line.startswith("| ")]
    shown = [word for word in shown if word not in ("| wrong", "| ---")]
    assert shown == [f"| {case.wrong}" for own in all_cases.values() for case in own]
    assert len(shown) >= 80
    for own in all_cases.values():
        assert len({(case.wrong, case.command) for case in own}) == len(own)


def test_every_variable_and_flag_has_a_mistake(all_cases) -> None:
    cases = [case for own in all_cases.values() for case in own]
    shipped = (name for name in configs.names() if name.endswith(("/bach", "/patch_camelyon")))
    read = {variable for name in shipped for variable in configs.variables(configs.path(name))}
    assert read <= {variable for case in cases for variable in case.variables}
    given = {word.partition("=")[0] for case in cases for word in shlex.split(case.command)}
    (commands,) = cli._parser()._subparsers._group_actions
    flags = {flag for one in commands.choices.values() for flag in one._option_string_actions}
    assert flags - {"-h", "--help"} <= given


@pytest.mark.parametrize("area", AS_PROCESSES)
def test_a_process_of_its_own_says_the_same(area, all_cases, server, shared, tmp_path) -> None:
    (case,) = (case for case in all_cases[area] if case.wrong == AS_PROCESSES[area])
    ended, _ = run(case, server, tmp_path, shared)
    variables = {**environment(shared), **case.variables}
    given = {name: value for name, value in variables.items() if value is not None}
    own = run_process(arguments(case.command, shared), tmp_path, given)
    assert own.status == ended.status == 2
    assert error_line(case, own) == error_line(case, ended) != ""

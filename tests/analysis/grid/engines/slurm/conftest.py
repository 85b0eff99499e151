"""A real SLURM of one machine, started from Debian's packages, with two GPUs that are no GPUs."""

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from clipit_eva import child

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_PATIENCE = 60.0
"""Seconds that the daemons get to start, and SLURM jobs to end."""

_POLICY = Path("/usr/sbin/policy-rc.d")
_LOCK = Path(tempfile.gettempdir()) / "slurm-packages.lock"

_CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
KillWait=5
ReturnToService=2
DefMemPerNode=100
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=2000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Path]:
    """Starts SLURM for this process and its children; yields the folder of its files."""
    if os.geteuid() != 0:
        pytest.skip("starting SLURM needs root")
    with (
        pytest.MonkeyPatch.context() as patch,
        # Not in pytest's folder: the path of a socket has to be short.
        tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as name,
    ):
        patch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")  # where daemons are
        _install()
        folder = Path(name)
        _configure(folder)
        with _daemons(folder) as daemons:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            _wait_for_node(folder, daemons)
            yield folder
            _end_jobs()


def _install() -> None:
    """Installs Debian's packages unless they are there; skips where that is not possible."""
    install = ["apt-get", "install", "-y", "--no-install-recommends", "slurm-wlm", "munge"]
    # Two processes of a test run may come here at once.
    with _LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with _no_services():
            for command in (install, ["apt-get", "update"], install):
                if _missing():
                    _apt(command)
    if _missing():
        pytest.skip(f"the packages slurm-wlm and munge cannot be installed: no {_missing()[0]}")


def _missing() -> list[str]:
    return [program for program in _PROGRAMS if shutil.which(program) is None]


def _apt(command: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, env=environment, timeout=300)


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Keeps packages from starting services while they are installed."""
    if _POLICY.exists() or not _missing():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _configure(folder: Path) -> None:
    folder.chmod(0o755)
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir()
    (folder / "munge").chmod(0o700)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o600)
    for number in range(2):
        # Two names of /dev/null: SLURM knows a GPU by its device file.
        try:
            os.mknod(folder / f"gpu{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        except OSError as error:
            pytest.skip(f"device files cannot be made: {error}")
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-1]\n")
    controller, node = _free_ports(2)
    (folder / "slurm.conf").write_text(
        _CONFIG.format(
            folder=folder, host=_host(), controller_port=controller, node_port=node
        ).lstrip()
    )


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def _daemons(folder: Path) -> Iterator[list[subprocess.Popen]]:
    """Runs the three daemons; they end with this process, even if it is killed."""
    munge = folder / "munge"
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
    config = ["-f", str(folder / "slurm.conf")]
    commands = [
        ["munged", "--foreground", "--force", *(f"--{n}={munge / f}" for n, f in files.items())],
        ["slurmctld", "-D", *config],
        ["slurmd", "-D", "-N", _host(), *config],
    ]
    started: list[subprocess.Popen] = []
    try:
        for command in commands:
            with _log(folder, command[0]).open("wb") as log:
                started.append(child.start(command, os.environ, log, grace=10))
            if command[0] == "munged":
                _wait_for(lambda: (munge / "socket").exists(), "munged makes no socket")
        yield started
    finally:
        for process in reversed(started):
            process.communicate()  # closes its standard input, by which it ends


def _log(folder: Path, program: str) -> Path:
    return folder / f"{program}.log"


def _wait_for_node(folder: Path, daemons: list[subprocess.Popen]) -> None:
    def is_idle() -> bool:
        for daemon, program in zip(daemons, _PROGRAMS, strict=False):
            if daemon.poll() is not None:
                pytest.fail(f"{program} ended: {_log(folder, program).read_text()[-2000:]}")
        return _run("sinfo", "--noheader", "--format=%T").strip() == "idle"

    _wait_for(is_idle, "the node does not become idle")


def _end_jobs() -> None:
    """Ends what a failed test left: SLURM jobs outlive the daemons."""
    _run("scancel", f"--user={os.getuid()}")
    _wait_for(lambda: not _run("squeue", "--noheader").strip(), "SLURM jobs do not end")


def _wait_for(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(failure)
        time.sleep(0.1)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

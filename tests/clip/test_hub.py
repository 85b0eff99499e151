import http.server
import json
import os
import subprocess
import sys
import threading
from typing import ClassVar

import pytest

from clipit_eva.clip import hub
from clipit_eva.errors import InputError

ASK = """
import sys
from clipit_eva.clip import hub
from clipit_eva.errors import InputError
try:
    print(hub.download(sys.argv[1], sys.argv[2:]))
except InputError as error:
    print("InputError", error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub with one gated and one open repository."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self):
        self.asked.append(self.path)
        if self.path.startswith("/gated/"):
            self.answer(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "no access"})
        elif not self.path.startswith("/open/"):
            self.answer(404, {"X-Error-Code": "RepoNotFound"})
        elif self.path.endswith("second.json"):
            self.answer(200, {"ETag": '"abc"', "X-Repo-Commit": "0" * 40, "Content-Length": "2"})
        else:
            self.answer(404, {"X-Error-Code": "EntryNotFound"})

    def do_GET(self):
        self.do_HEAD()
        if self.path.endswith("second.json"):
            self.wfile.write(b"{}")

    def answer(self, status, headers):
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def ask(tmp_path):
    """Returns a function that asks our local hub from a process without a token."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Hub.asked.clear()
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }

    def run(*arguments, **more):
        done = subprocess.run(
            [sys.executable, "-c", ASK, *arguments],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    yield run
    server.shutdown()


def test_a_gated_repository_says_which_page_to_accept(ask):
    answer = ask("gated/conch", "pytorch_model.bin")
    assert answer.startswith("InputError gated/conch is gated")
    assert "https://huggingface.co/gated/conch" in answer
    assert "HF_TOKEN" in answer
    assert "\n" not in answer


def test_an_absent_repository_is_named(ask):
    assert "no repository nobody/nothing" in ask("nobody/nothing", "config.json")


def test_the_first_file_that_exists_is_taken_and_then_comes_from_the_cache(ask):
    first = ask("open/model", "first.json", "second.json")
    assert first.endswith("second.json")
    requests = len(Hub.asked)
    assert ask("open/model", "first.json", "second.json") == first
    assert ask("open/model", "first.json", "second.json", HF_HUB_OFFLINE="1") == first
    assert len(Hub.asked) == requests
    assert ask("open/model", "third.json") == "None"


def test_offline_and_not_cached_is_said(ask):
    assert "hf download open/model" in ask("open/model", "second.json", HF_HUB_OFFLINE="1")


@pytest.mark.slow
def test_a_cached_model_loads_offline(tmp_path, tiny_folder):
    commit = "0" * 40
    repository = tmp_path / "hub" / "models--open--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.parent.mkdir()
    tiny_folder.rename(snapshot)
    script = """
import json
from clipit_eva.clip.loading import load_clip
print(json.dumps(dict(load_clip("hf-hub:open/tiny").identity)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["model"] == "hf-hub:open/tiny"


def test_a_name_that_is_no_repository_is_refused():
    with pytest.raises(InputError, match="not a Hugging Face repository name"):
        hub.download("a/b/c", ["config.json"])

"""Every snippet of the README is run as it stands, as a new user would run it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keraszoo import registry
from tests import readme

ROOT = Path(__file__).parents[1]
TEXT = readme.README.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """An empty folder with what the README speaks of: pictures and saved models."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("docs", "saved_models"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def commands():
    lines = [line for kind, text in SNIPPETS if kind == "bash" for line in text.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def test_every_snippet_is_of_a_kind_that_is_run_here():
    assert {kind for kind, _ in SNIPPETS} == {"python", "bash"}
    assert {line.split()[0] for line in commands()} <= {"make", "pip", "keraszoo", "KERAS_BACKEND=torch"}


def test_python_snippets_run_one_after_another(desk, monkeypatch, tmp_path):
    monkeypatch.chdir(desk)
    names = {}
    for kind, text in SNIPPETS:
        if kind == "python":
            exec(compile(text, "README.md", "exec"), names)
            if "@register" in text:  # as a file in keraszoo/models it would be on the shelf
                (tmp_path / "tiny_net.py").write_text(text)
    assert names["tiny_net"]().output_shape == (None, 10)
    (entry,) = registry.read(tmp_path / "tiny_net.py")
    assert (entry.name, entry.task) == ("tiny_net", "image_classification")


def test_shell_snippets_run_one_after_another(desk):
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in commands():
        if line.startswith(("make", "pip")):
            continue  # tested below
        done = subprocess.run(line, shell=True, cwd=desk, env=here, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (desk / "runs" / "digits" / "curves.png").is_file()


def test_make_knows_the_commands():
    for line in commands():
        if line.startswith("make"):
            done = subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert "apps/recognise_digits.py" in done.stdout or "-m tests" in done.stdout


def test_pip_installs_what_it_says(tmp_path):
    """The commands as they stand, on a wheel made here, without what it depends on."""
    wheels = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    made = subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    environment = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_TARGET": str(tmp_path / "site"),
        "PIP_UPGRADE": "1",
    }
    installs = [line for line in commands() if line.startswith("pip")]
    assert len(installs) == 3
    for line in installs:
        extra = re.search(r"\[(.+)\]", line)[1]
        done = subprocess.run([*pip, *shlex.split(line)[1:]], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "does not provide the extra" not in done.stderr, extra
    assert (tmp_path / "site" / "keraszoo" / "models" / "lenet.py").is_file()


def test_the_table_is_the_registry():
    assert readme.filled(TEXT) == TEXT, "run: make readme"

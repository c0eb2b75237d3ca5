"""The notebooks' files, and the command that runs them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture
def write(tmp_path):
    """Write a notebook of one code cell."""
    pytest.importorskip("nbformat", reason="notebooks are written by nbformat, in the extra docs")

    def write(name, source):
        (tmp_path / "draft.txt").write_text(f"%% markdown\n# A title\n\n%% code\n{source}\n")
        path = tmp_path / name
        subprocess.run([sys.executable, FOLDER / "text.py", tmp_path / "draft.txt", path], check=True)
        return path

    return write


def run(*arguments):
    pytest.importorskip("nbclient", reason="notebooks are run by nbclient, in the extra docs")
    pytest.importorskip("ipykernel", reason="notebooks are run by ipykernel, in the extra docs")
    command = [sys.executable, FOLDER / "run.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestEveryNotebook:
    def test_it_is_kept_without_outputs(self, path):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None

    def test_its_first_cell_has_a_title_and_names_rows_of_the_checklist(self, path):
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        source = "".join(first["source"])
        assert first["cell_type"] == "markdown"
        assert source.startswith("# ")
        assert re.search(r"^Checklist: L\d\d", source, re.MULTILINE)

    def test_the_folders_table_lists_it(self, path):
        assert f"| `{path.stem}` |" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_a_notebook_becomes_text_and_the_text_becomes_the_same_notebook(write, tmp_path):
    first = write("first.ipynb", "a = 1\n\n\nprint(a)")
    text = subprocess.run(
        [sys.executable, FOLDER / "text.py", first], capture_output=True, text=True, check=True
    ).stdout
    (tmp_path / "again.txt").write_text(text)
    subprocess.run([sys.executable, FOLDER / "text.py", tmp_path / "again.txt", tmp_path / "again.ipynb"], check=True)
    assert (tmp_path / "again.ipynb").read_text() == first.read_text()
    assert "a = 1\n\n\nprint(a)" in text


def test_the_command_keeps_the_run_copy_with_its_pictures_and_leaves_the_file_as_it_is(write, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib draws")
    path = write("good.ipynb", "import matplotlib.pyplot as plt\nprint(6 * 7)\nplt.plot([1, 2]);")
    before = path.read_text()
    done = run(path, "--out", tmp_path / "ran")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 notebooks ran" in done.stdout
    assert "42" in (tmp_path / "ran" / "good.ipynb").read_text()
    (picture,) = (tmp_path / "ran").glob("*.png")
    assert picture.name.startswith("good-02-")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert path.read_text() == before


def test_a_cell_that_raises_fails_the_command_and_is_shown_while_the_others_run(write):
    bad, good = write("bad.ipynb", "assert 1 == 2, 'one is not two'"), write("good.ipynb", "1 + 1")
    done = run(bad, good)
    assert done.returncode == 1
    assert "one is not two" in done.stderr
    assert "1 of 2 notebooks ran" in done.stdout


def test_a_notebook_that_takes_longer_than_its_limit_fails(write):
    done = run(write("slow.ipynb", "import time\ntime.sleep(60)"), "--limit", "3")
    assert done.returncode == 1
    assert "took longer than 3 s" in done.stderr


def test_notebooks_that_take_longer_than_their_budget_together_fail(write):
    done = run(write("good.ipynb", "1 + 1"), "--budget", "0.1")
    assert done.returncode == 1
    assert "1 of 1 notebooks ran" in done.stdout
    assert "longer than 0.1 s" in done.stderr

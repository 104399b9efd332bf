"""The Python examples of the documents run as they stand, in a folder with a few drawn photos."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
EXAMPLES = [
    pytest.param(code, id=f"{document.name}-{number}")
    for document in DOCUMENTS
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs_and_prints(code, tmp_path, album):
    photos = album(tmp_path / "photos")
    shutil.copy(photos[0], tmp_path / "photos" / "query.jpg")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = "(224, 288, 3)" if "DecoderPool" in code else str(tmp_path / "photos" / "query.jpg")
    assert expected in done.stdout


def test_there_are_examples_to_run():
    assert len(EXAMPLES) >= 2

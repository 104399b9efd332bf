from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.errors import SettingError
from lookalike.settings import Settings, cache_path, default_gallery_path, usable_cores


def test_environment_is_read_and_arguments_win() -> None:
    environment = {"LOOKALIKE_WORKERS": "3", "LOOKALIKE_THUMBNAILS": "no", "LOOKALIKE_DECODE_SECONDS": "1.5"}
    settings = Settings.from_environment(environment, workers=5, threads=None)
    assert (settings.workers, settings.thumbnails, settings.decode_seconds, settings.threads) == (5, False, 1.5, 0)


def test_zero_means_one_per_core() -> None:
    assert Settings().worker_count == Settings().thread_count == usable_cores() >= 1
    assert Settings(workers=7).worker_count == 7


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"LOOKALIKE_WORKERS": "many"}, "LOOKALIKE_WORKERS='many' is no int"),
        ({"LOOKALIKE_WORKERS": "-1"}, "workers: -1 is below 0"),
        ({"LOOKALIKE_PRECISION": "fp8"}, "'fp8' is not one of auto, fp32, bf16"),
        ({"LOOKALIKE_THUMBNAILS": "perhaps"}, "neither yes nor no"),
    ],
)
def test_bad_values_are_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Settings.from_environment(environment)


def test_folders_can_be_chosen() -> None:
    assert default_gallery_path({"LOOKALIKE_GALLERY": "/g"}) == Path("/g")
    assert cache_path({"LOOKALIKE_CACHE": "/c"}) == Path("/c")
    assert default_gallery_path({}).parts[-2:] == ("lookalike", "gallery")

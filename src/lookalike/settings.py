"""Every setting once: name, type, default, help.

A setting is read from the command line, else from the environment variable ``LOOKALIKE_<NAME>``, else it has its
default. ``docs/settings.md`` lists them; a test fails where the two part.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lookalike.errors import SettingError


def _setting(default: Any, help_text: str, *, least: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "least": least, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen; see each field's help in ``docs/settings.md``.

    Raises:
        SettingError: a value of the wrong kind or out of range; it names the setting, the value and the range.
    """

    precision: str = _setting(
        "auto",
        "Arithmetic of the network: bf16 where the processor has it, else fp32; or force one.",
        choices=("auto", "fp32", "bf16"),
    )
    workers: int = _setting(0, "Decoder processes; 0 takes one per processor core.", least=0)
    threads: int = _setting(0, "Threads of the network; 0 takes one per processor core.", least=0)
    max_pixels: int = _setting(200_000_000, "Images with more pixels than this are refused.", least=1)
    max_file_bytes: int = _setting(256 * 2**20, "Files larger than this are refused.", least=1)
    decode_seconds: float = _setting(
        30.0, "A decoder that takes longer than this for one image is stopped.", least=0.01
    )
    decode_memory_bytes: int = _setting(
        2 * 2**30, "Address space of one decoder process; what needs more is refused.", least=256 * 2**20
    )
    exact_limit: int = _setting(
        20_000, "Galleries up to this many images are searched exactly, larger ones through faiss.", least=0
    )
    thumbnails: bool = _setting(True, "Keep a small JPEG of every image in the gallery's cache.")

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Settings from ``LOOKALIKE_*`` variables; arguments that are not None win.

        Args:
            environment: Instead of the process's own.
            **given: Values by name; None means "not given".
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for f in fields(cls):
            variable = f"LOOKALIKE_{f.name.upper()}"
            if given.get(f.name) is not None:
                values[f.name] = given[f.name]
            elif environment.get(variable):
                values[f.name] = _parse(variable, environment[variable], type(f.default))
        return cls(**values)

    @property
    def worker_count(self) -> int:
        """Decoder processes to start."""
        return self.workers or usable_cores()

    @property
    def thread_count(self) -> int:
        """Threads the network may use."""
        return self.threads or usable_cores()


def usable_cores() -> int:
    """Processor cores that this process may use, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)


def default_gallery_path(environment: Mapping[str, str] | None = None) -> Path:
    """Where the gallery is unless ``-g`` says otherwise: ``LOOKALIKE_GALLERY``, else a per-user data folder."""
    environment = os.environ if environment is None else environment
    if environment.get("LOOKALIKE_GALLERY"):
        return Path(environment["LOOKALIKE_GALLERY"]).expanduser()
    from platformdirs import user_data_path

    return user_data_path("lookalike", appauthor=False) / "gallery"


def cache_path(environment: Mapping[str, str] | None = None) -> Path:
    """Where rebuilt-at-will files live: ``LOOKALIKE_CACHE``, else the per-user cache folder."""
    environment = os.environ if environment is None else environment
    if environment.get("LOOKALIKE_CACHE"):
        return Path(environment["LOOKALIKE_CACHE"]).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("lookalike", appauthor=False)


def _parse(variable: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise SettingError(f"{variable}={text!r} is neither yes nor no", hint="use 1 or 0")
    try:
        return kind(text)
    except ValueError as error:
        raise SettingError(f"{variable}={text!r} is no {kind.__name__}") from error


def _check(name: str, value: Any, f: Any) -> None:
    kind = type(f.default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise SettingError(f"setting {name}: expected {kind.__name__}, got {value!r}")
    choices, least = f.metadata["choices"], f.metadata["least"]
    if choices and value not in choices:
        raise SettingError(f"setting {name}: {value!r} is not one of {', '.join(choices)}")
    if least is not None and not value >= least:
        raise SettingError(f"setting {name}: {value!r} is below {least}")

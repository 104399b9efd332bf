"""Templates that read fields from paths."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.errors import SettingError
from lookalike.path_templates import parse

PARTS = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("template", "path", "fields"),
    [
        ("{site}/{asset}/*", "north/pump-1/a.jpg", ("north", "pump-1")),
        ("{site}/{asset}/*", "north/pump-1/b/a.jpg", None),
        ("{site}/{asset}/*", "north/a.jpg", None),
        ("{site}/{asset}/**", "north/pump-1/b/a.jpg", ("north", "pump-1")),
        ("{site}/**", "north/a.jpg", ("north",)),
        ("**/{asset}/*", "pump-1/a.jpg", ("pump-1",)),
        ("**/{asset}/*", "x/y/pump-1/a.jpg", ("pump-1",)),
        ("{site}_{date}_*.jpg", "north_2024-05-17_001.jpg", ("north", "2024-05-17")),
        ("{site}_{date}_*.jpg", "north_2024-05-17_001.JPG", None),
        ("{site}_{rest}", "a_b_c.jpg", ("a", "b_c.jpg")),  # as short as possible
        ("{name}.jpg", ".jpg", None),  # never empty
        ("{name}.jpg", "a+b(c).jpg", ("a+b(c)",)),
        ("a.b/{x}", "aXb/1", None),  # a dot is a dot
        ("{line}/*", "line\nbreak/a.jpg", ("line\nbreak",)),
        ("{site}/*", "caf\udce9/a.jpg", ("caf\udce9",)),  # no UTF-8
    ],
)
def test_a_template_reads_fields(template: str, path: str, fields: tuple[str, ...] | None) -> None:
    assert parse(template).read(path) == fields


@given(PARTS, PARTS, PARTS)
def test_whole_parts_are_read_as_they_are(one: str, other: str, name: str) -> None:
    template = parse("{one}/{other}/*")
    assert template.fields == ("one", "other")
    assert template.read(f"{one}/{other}/{name}") == (one, other)


@given(PARTS)
def test_text_stands_for_itself(text: str) -> None:
    plain = re.sub(r"[{}*]", "", text)
    assert parse(f"{plain}/{{x}}").read(f"{plain}/y") == ("y",)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("*/*", "names no field"),
        ("", "names no field"),
        ("{site}/{site}/*", "'site' twice"),
        ("{site/*", "stray '{'"),
        ("site}/*", "stray '}'"),
        ("{}/*", "a field ''"),
        ("{a b}/*", "a field 'a b'"),
        ("{1}/*", "a field '1'"),
    ],
)
def test_a_useless_template_is_refused(template: str, why: str) -> None:
    with pytest.raises(SettingError, match=re.escape(why)):
        parse(template)

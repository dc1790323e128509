"""What loraloom remembers of this machine."""

from __future__ import annotations

import pytest

from kohya_ext.project import Settings, ToolError, read_settings, user_folder, write_setting
from kohya_ext.project.settings import settings_path


def test_without_a_file_there_are_defaults():
    assert read_settings() == Settings()


def test_a_setting_is_remembered():
    write_setting("trainer", "somewhere")
    write_setting("webui_urls", ("http://localhost:1", "http://localhost:2"))
    assert read_settings().trainer == "somewhere"
    assert read_settings().webui_urls == ("http://localhost:1", "http://localhost:2")


def test_an_unknown_setting_is_a_programming_error():
    with pytest.raises(ValueError, match="no setting is called 'colour'"):
        write_setting("colour", "red")


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[1]",
        "null",
        '"x"',
        '{"webui_urls": 5}',
        '{"webui_urls": [5]}',
        '{"project_webuis": 3}',
        '{"project_webuis": {"fox": "http://localhost:1"}}',
        '{"trainer": []}',
    ],
)
def test_a_damaged_file_is_named(text: str):
    user_folder().mkdir(exist_ok=True)
    settings_path().write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match="LL114"):
        read_settings()


def test_settings_of_a_newer_version_are_ignored():
    settings_path().write_text('{"trainer": "t", "new": 1}', encoding="utf-8")
    assert read_settings().trainer == "t"

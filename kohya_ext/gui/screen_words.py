"""Sentences for a screen: what a cure says in words of the command line becomes the tab's own.

Errors carry one cure. It names commands, options and keys of the manifest; here each kind has its
button, box or field, so that no cure needs a second text of its own. `on_screen` is applied to
every sentence that the tab shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .fields import FIELDS, Section, keep_label

COMMANDS: Mapping[str, str] = {
    "init": 'the button "Make a project in the folder above"',
    "import": 'the button "Import"',
    "stage": 'the button "Stage"',
    "caption": 'the button "Caption"',
    "config": 'the button "Config"',
    "check": 'the button "Check"',
    "train --attach": 'the button "Open project"',
    "train --stop": 'the button "Stop"',
    "train": 'the button "Train"',
    "queue list": 'the section "Queue"',
    "queue add": 'the button "Add to queue"',
    "queue remove": 'the button "Remove" in the section "Queue"',
    "queue": 'the section "Queue"',
    "report": 'the section "Report"',
    "board": 'the board under "Pictures"',
    "ratings": 'the board under "Pictures"',
    "presets": 'the section "Preset"',
    "show": 'the button "Open project"',
    "trainer": 'the field "Trainer folder" under "Train"',
}
"""What stands for a command; others belong to the WebUI's half, see ELSEWHERE."""

ELSEWHERE = 'the loraloom tab of your WebUI, or the page "Pictures" of loraloom\'s own screen'

OPTIONS: Mapping[str, str] = {
    "roles": "the board",
    "rename": 'the box "Rename pictures whose name already exists"',
    "model": 'the field "Tagger folder"',
    "resume": 'the box "Resume from the newest state"',
    "move-old": 'the box "Move epoch files of an earlier training aside"',
    "save-states": 'the box "Save states, to resume after a stop"',
    "weights": 'the field "Continue from this LoRA file"',
    "epochs": 'the field "Max train epoch"',
    "stop-after-epoch": 'the button "Stop after this epoch"',
    "gpu": 'the field "GPU IDs" of Kohya',
    "python": 'the field "Trainer folder"',
    "trainer": 'the field "Trainer folder"',
    "config": 'the field "Kohya json or toml"',
    "from": 'the field "Kohya json or toml"',
    "draws": 'the section "Pictures"',
    "torch-from": "the trainer's own set-up",
    "attach": 'the button "Open project"',
    "stop": 'the button "Stop"',
}
"""What stands for an option of a command; one without its like on the tab is left out."""

_PLACES: Mapping[str, str] = {".".join(one.place): f'the field "{one.label}"' for one in FIELDS} | {
    "subject.consent": f'the section "{Section.CONSENT.value}"',
    "dataset.repeats": f'the fields of "{keep_label(Section.PICTURES)}"',
    "captions.undesired_tags_file": 'the field "Undesired tags"',
    "training.kohya_version": "the version of your Kohya GUI",
}

_QUOTED = re.compile(r"`loraloom ([^`]+)`")
_NAMES = "|".join(sorted({one.split()[0] for one in COMMANDS}, key=len, reverse=True))
_END = r"(?=[;,]|\.(?:\s|$)|$)"
_PLAIN = re.compile(rf"\bloraloom ((?:{_NAMES})(?: [^;,.]*?)?){_END}")
_OTHER = re.compile(rf"\bloraloom ([a-z][a-z-]*(?: [^;,.\sa-z][^;,.]*?|{_END})){_END}")
"""A command of the other half: a word, then a name in capitals, an option or a path."""
_OPTION = re.compile(r"`?(?<![\w-])--([a-z][a-z-]*)(?![\w-])(?:[ =][A-Z][A-Z-]*\b)?`?")
_OVERRIDE = re.compile(r"\btraining\.overrides(?:\.(\w+))?")
_KEY = re.compile(
    r"\b(?:subject|base_model|dataset|captions|training|grid|showcase|publish)(?:\.[a-z_]+)+"
)
_BY_FILE = re.compile(
    r", or (?:write .{0,400}?\bloraloom [^;]{0,400}?--roles FILE"
    r"|run: loraloom stage .{0,900}?(?=\. There is|$))"
    r"|; or install sd-scripts: loraloom trainer install"
)
"""A way that only a terminal has, where the sentence names one of the screen first."""
_SIDE_BY_SIDE = re.compile(r"(the (?:field|box) \"[^\"]+\") (?=the (?:field|box) )")
_TWICE = re.compile(r"(the (?:field|button|box) \"[^\"]+\"),? or (?:under )?\1")
_ROOT = r"(?:/|~|[A-Za-z]:[/\\])"
_NAMED = rf"(?:{_ROOT}[^\"\n]{{0,900}}?)?lora-project\.yaml(?::\d+)?(:?)"
_FILE = re.compile(rf"(?<=\s){_NAMED}")
_LEADING_FILE = re.compile(rf"^{_NAMED}")


def on_screen(sentence: str) -> str:
    """Say a sentence in the words of the tab."""
    if not re.search(r"loraloom|--[a-z]|manifest|lora-project|\w\.\w", sentence):
        return sentence
    text = _LEADING_FILE.sub(r"The project\1", sentence)
    text = _FILE.sub(r"the project\1", text)
    text = _BY_FILE.sub("", text)
    text = _QUOTED.sub(lambda match: _command(match[1]), text)
    text = _PLAIN.sub(lambda match: _command(match[1]), text)
    text = _OTHER.sub(lambda match: _command(match[1]), text)
    text = _OPTION.sub(lambda match: OPTIONS.get(match[1], match[0]), text)
    text = _OVERRIDE.sub(_override, text)
    text = _KEY.sub(lambda match: _place(match[0]), text)
    text = re.sub(r",? in the manifest\b", "", text)
    text = re.sub(r"\bthe manifest\b", "the project", text)
    text = re.sub(r"\bThe manifest\b", "The project", text)
    text = re.sub(r"\bRun (?=the button)", "Press ", text)
    text = re.sub(r"\brun(?=:? the button)", "press", text)
    text = re.sub(r"\badd (?=the box)", "tick ", text)
    text = re.sub(r"\badd (?=the field)", "fill in ", text)
    text = _SIDE_BY_SIDE.sub(r"\1 and ", text)
    return _TWICE.sub(r"\1", text)


def _command(words: str) -> str:
    parts = words.split()
    name = parts[0]
    for known, shown in COMMANDS.items():
        first, *rest = known.split()
        if first == name and all(one in parts for one in rest):
            return shown
    return ELSEWHERE


def _override(match: re.Match[str]) -> str:
    from .views import label_of

    if match[1] is None:
        return '"Change single values"'
    return f'the field "{label_of(match[1])}" under "Change single values"'


def _place(key: str) -> str:
    if key in _PLACES:
        return _PLACES[key]
    section = next((one for place, one in _PLACES.items() if place.startswith(f"{key}.")), "")
    return section or key

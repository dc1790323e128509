"""What comes from outside is read by `json_reader`, which knows the limits; others say why."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator

from module_nodes import ROOT, nodes_of, product_modules

OURS = "a file that comes with the package"
TEXT = "text that was read within its limit"
PARTS = "reads a known number of bytes, or in blocks"
DATABASE = "SQLite reads pages, and its own limits hold"
SIMULATED = "a host's part, played by us"

ALLOWED: dict[str, tuple[int, str]] = {
    "dynprompts/compat/wildcards/wildcard_manager.py": (1, PARTS),
    "dynprompts/files.py": (1, TEXT),
    "dynprompts/tools/cli.py": (1, PARTS),
    "dynprompts/wildcards.py": (1, PARTS),
    "kohya_ext/cli/dispatch.py": (1, "entry points of installed packages"),
    "kohya_ext/gui/views.py": (2, OURS),
    "kohya_ext/project/decisions/reviews_db.py": (1, DATABASE),
    "kohya_ext/project/files.py": (2, PARTS),
    "kohya_ext/project/journal.py": (1, PARTS),
    "kohya_ext/project/json_reader.py": (4, "the reader itself"),
    "kohya_ext/project/lora_file.py": (
        3,
        "its header has a limit of its own",
    ),
    "kohya_ext/project/manifest_edit.py": (2, TEXT),
    "kohya_ext/project/manifest_reader.py": (2, OURS),
    "kohya_ext/project/pictures/memory.py": (1, DATABASE),
    "kohya_ext/project/pictures/metadata.py": (1, PARTS),
    "kohya_ext/project/pictures/picture.py": (1, PARTS),
    "kohya_ext/project/pictures/xmp.py": (1, TEXT),
    "kohya_ext/project/process.py": (2, "locks: nothing is read"),
    "kohya_ext/project/proof.py": (1, DATABASE),
    "kohya_ext/project/server.py": (
        3,
        "pages that we wrote, our secret, our files",
    ),
    "kohya_ext/project/yaml_reader.py": (2, OURS),
    "kohya_ext/simulator/sd_scripts/train_network.py": (7, SIMULATED),
    "kohya_ext/simulator/walk.py": (7, SIMULATED),
    "kohya_ext/training/checks/base_model.py": (1, PARTS),
    "kohya_ext/training/checks/probe/walk.py": (2, "runs in the trainer, on its own scripts"),
    "kohya_ext/training/config/arguments.py": (2, OURS),
    "kohya_ext/training/config/forms.py": (1, TEXT),
    "kohya_ext/training/config/kohya_json.py": (2, OURS),
    "kohya_ext/training/config/toml.py": (1, TEXT),
    "kohya_ext/training/run/follow.py": (1, PARTS),
    "kohya_ext/training/run/tensorboard.py": (2, PARTS),
    "kohya_ext/training/run/verify.py": (1, PARTS),
    "a1111_ext/api/infotext.py": (1, "one text in quotes, of an infotext within its limit"),
    "a1111_ext/api/lora_list.py": (1, PARTS),
    "a1111_ext/cells/cell.py": (2, "what a cell wrote itself"),
    "a1111_ext/cells/ledger_file.py": (1, DATABASE),
    "a1111_ext/cells/owners.py": (1, "a file of the kernel"),
    "a1111_ext/cells/shared_file.py": (1, DATABASE),
    "a1111_ext/grids/page/document.py": (1, OURS),
    "a1111_ext/grids/page/share.py": (1, "pages and sheets that we wrote"),
    "a1111_ext/grids/page/votes.py": (1, "a page that we wrote"),
    "a1111_ext/grids/sheet/font_coverage.py": (1, PARTS),
    "a1111_ext/grids/sheet/lettering.py": (1, OURS),
    "a1111_ext/publish/checklist.py": (1, OURS),
    "a1111_ext/publish/form.py": (1, OURS),
    "a1111_ext/publish/preview.py": (1, OURS),
    "a1111_ext/quality/weights.py": (1, PARTS),
    "a1111_ext/simulator/server.py": (1, SIMULATED),
    "a1111_ext/simulator/xyz.py": (1, SIMULATED),
    "a1111_ext/webui/own_vae.py": (1, PARTS),
}


def _reads(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what reads a whole file, or parses without a limit of depth."""
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        called, words = node.func, [one.value for one in node.args if isinstance(one, ast.Constant)]
        words += [one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)]
        if isinstance(called, ast.Name) and called.id == "open":
            yield "open"
        if not isinstance(called, ast.Attribute):
            continue
        owner = called.value.id if isinstance(called.value, ast.Name) else ""
        named = f"{owner}.{called.attr}"
        if called.attr in ("read_text", "read_bytes"):
            yield called.attr
        elif named in _PARSERS:
            yield named
        elif called.attr == "open" and _is_reading(words) and owner not in ("Image", "os", "gzip"):
            yield "open"


_PARSERS = (
    "json.load", "json.loads", "yaml.load", "yaml.safe_load", "tomllib.load", "tomllib.loads",
    "tomli.loads", "sqlite3.connect", "pickle.load", "pickle.loads", "ElementTree.fromstring",
)  # fmt: skip


def _is_reading(words: list[object]) -> bool:
    modes = [one for one in words if isinstance(one, str) and set(one) <= set("rbwxat+")]
    return bool(words) and (not modes or any("r" in one or "+" in one for one in modes))


def found_reads() -> dict[str, Counter[str]]:
    found = {}
    for path in product_modules():
        reads = Counter(_reads(nodes_of(path)))
        if reads:
            found[path.relative_to(ROOT).as_posix()] = reads
    return found


def test_every_read_without_the_reader_has_its_reason():
    found = {name: sum(reads.values()) for name, reads in found_reads().items()}
    assert found == {name: number for name, (number, _) in ALLOWED.items()}


def test_a_new_read_is_noticed():
    source = "import json\njson.loads(path.read_text())\nwith path.open('rb') as s: s.read()\n"
    assert Counter(_reads(ast.walk(ast.parse(source)))) == {
        "json.loads": 1,
        "read_text": 1,
        "open": 1,
    }

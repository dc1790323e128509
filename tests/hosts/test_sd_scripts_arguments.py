"""What we know of a real sd-scripts' arguments, and that it takes what we write.

LORALOOM_SD_SCRIPTS names a checkout of main (48d368fa) or v0.9.1, LORALOOM_SD_PYTHON its Python.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.training.config.arguments import arguments_of
from kohya_ext.training.config.conversion import apply_conversion, convert
from kohya_ext.training.config.kohya_json import GuiVersion
from kohya_ext.training.config.trainer_parsers import read_arguments
from kohya_ext.training.trainer import argument_table

from .conftest import named

pytestmark = pytest.mark.host


def test_read_and_recorded_arguments_are_the_same():
    folder = Path(named("LORALOOM_SD_SCRIPTS"))
    scripts = sorted(path.stem for path in folder.glob("*train_network.py"))
    assert "train_network" in scripts
    for script in scripts:
        read = read_arguments(folder, script)
        assert read == arguments_of(script, argument_table(folder)), script


READ = """
import json, sys
folder, config, dataset = sys.argv[1:]
sys.path.insert(0, folder)
import train_network
from library import config_util, train_util
parser = train_network.setup_parser()
sys.argv = ["x", "--config_file", config]
args = train_util.read_config_from_file(parser.parse_args(), parser)
train_util.prepare_dataset_args(args, True)
sanitizer = config_util.ConfigSanitizer(True, True, False, True)
user = config_util.load_user_config(dataset)
data = config_util.BlueprintGenerator(sanitizer).generate(user, args)
(made,) = data.dataset_group.datasets
print(json.dumps({
    "epochs": args.max_train_epochs, "network_args": args.network_args, "norm": args.max_grad_norm,
    "batch": made.params.batch_size, "resolution": made.params.resolution,
    "repeats": sorted(one.params.num_repeats for one in made.subsets),
}))
"""


@pytest.mark.timeout(300)
def test_the_trainer_reads_both_tomls_as_meant(tmp_path: Path):
    folder, python = Path(named("LORALOOM_SD_SCRIPTS")), named("LORALOOM_SD_PYTHON")
    for repeats in (2, 5):
        (tmp_path / "train" / f"{repeats}_Fox").mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(tmp_path / "train" / f"{repeats}_Fox" / "a.png")
    source = tmp_path / "fox.json"
    values = {
        "train_data_dir": str(tmp_path / "train"), "output_dir": "out", "output_name": "fox",
        "LoRA_type": "Kohya LoCon", "conv_dim": 4, "epoch": 3, "max_grad_norm": 0,
        "max_resolution": "512,768", "train_batch_size": 2,
    }  # fmt: skip
    source.write_text(json.dumps(values), encoding="utf-8")
    _, config, dataset = apply_conversion(convert(source, GuiVersion.V26), tmp_path / "new")
    script = tmp_path / "read.py"
    script.write_text(READ, encoding="utf-8")
    done = subprocess.run(
        [python, str(script), str(folder), str(config), str(dataset)],
        cwd=folder, check=False, capture_output=True, encoding="utf-8", timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "epochs": 3,
        "network_args": ["conv_dim=4", "conv_alpha=1"],
        "norm": 0,
        "batch": 2,
        "resolution": [512, 768],
        "repeats": [2, 5],
    }

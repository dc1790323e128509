"""Batches as sd-scripts' own dataset classes make them, and as we expect them.

LORALOOM_SD_SCRIPTS names a checkout, LORALOOM_SD_PYTHON its Python; LORALOOM_SD_DATASETS how many
random dataset configs are compared (default 150). Nothing is trained.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_trainer import python_of

from kohya_ext.training.checks.preflight import run_preflight
from kohya_ext.training.config.arguments import TrainerCall

from .conftest import named

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

COUNT = """
import contextlib, io, json, logging, random, sys
folder, jobs, answers = sys.argv[1:]
sys.path.insert(0, folder)
import train_network
from accelerate.utils import set_seed
from library import config_util, train_util
parser = train_network.setup_parser()
found = []
for job in json.load(open(jobs, encoding="utf-8")):
    sys.argv = ["x", "--config_file", job]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            args = train_util.read_config_from_file(parser.parse_args(), parser)
            train_util.prepare_dataset_args(args, True)
            logging.disable()
            set_seed(args.seed)
            sanitizer = config_util.ConfigSanitizer(True, True, args.masked_loss, True)
            folders = config_util.generate_dreambooth_subsets_config_by_subdirs
            subsets = folders(args.train_data_dir, args.reg_data_dir)
            user = (config_util.load_user_config(args.dataset_config) if args.dataset_config
                    else {"datasets": [{"subsets": subsets}]})
            data = config_util.BlueprintGenerator(sanitizer).generate(user, args).dataset_group
            group, _ = config_util.generate_dataset_group_by_blueprint(data)
        found.append(len(group))
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}"[:300])
json.dump(found, open(answers, "w", encoding="utf-8"))
"""

SIDES = (40, 64, 72, 96, 100, 128, 200, 256, 333)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six folders with 0 to 11 pictures of many sizes; three of them are numbered."""
    root, rng = tmp_path_factory.mktemp("pictures"), random.Random(3)
    names = ("train/3_fox", "train/1_owl one", "reg/2_cat", "plain/a", "plain/b", "plain/c")
    for name, count in zip(names, (7, 11, 5, 3, 9, 0), strict=True):
        (root / name).mkdir(parents=True)
        for number in range(count):
            suffix = rng.choice((".png", ".jpg", ".BMP", ".webp"))
            size = rng.choice(SIDES), rng.choice(SIDES)
            shade = (number * 20, len(name) * 9, rng.randrange(256))
            path = root / name / f"{number}{suffix}"
            Image.new("RGB", size, shade).save(path, format=None if suffix != ".BMP" else "BMP")
            path.with_suffix(".txt").write_text("a fox", encoding="utf-8")
    return root


def random_settings(rng: random.Random) -> dict[str, Any]:
    """Return what a dataset, the general table or the arguments may say of buckets."""
    found: dict[str, Any] = {"resolution": rng.choice([96, 128, 200, [96, 128], [160, 96]])}
    if rng.random() < 0.7:
        found["enable_bucket"] = rng.random() < 0.8
    if rng.random() < 0.5:
        found |= {
            "min_bucket_reso": rng.choice([64, 72, 90]),
            "max_bucket_reso": rng.choice([200, 256]),
        }
    if rng.random() < 0.5:
        found["bucket_reso_steps"] = rng.choice([8, 32, 64])
    if rng.random() < 0.3:
        found["bucket_no_upscale"] = rng.random() < 0.7
    if rng.random() < 0.6:
        found["batch_size"] = rng.randint(1, 6)
    if rng.random() < 0.2:
        found["validation_split"] = rng.choice([0.1, 0.5, 0.34])
        found |= {"validation_seed": 5} if rng.random() < 0.5 else {}
    return found


def random_subset(pictures: Path, rng: random.Random) -> dict[str, Any]:
    names = ("train/3_fox", "train/1_owl one", "reg/2_cat", "plain/a", "plain/b", "plain/c")
    found: dict[str, Any] = {"image_dir": (pictures / rng.choice(names)).as_posix()}
    if rng.random() < 0.6:
        found["num_repeats"] = rng.randint(1, 5)
    if rng.random() < 0.2:
        found["is_reg"] = True
    return found


def random_config(pictures: Path, rng: random.Random) -> dict[str, Any]:
    """Return a dataset config of one to three datasets."""
    datasets = []
    for _ in range(rng.randint(1, 3)):
        subsets = [random_subset(pictures, rng) for _ in range(rng.randint(1, 4))]
        own = random_settings(rng) if rng.random() < 0.7 else {}
        repeats = {"num_repeats": rng.randint(1, 3)} if rng.random() < 0.3 else {}
        datasets.append({**own, **repeats, "subsets": subsets})
    general = random_settings(rng) if rng.random() < 0.5 else {}
    return {"general": {**general, "caption_extension": ".txt"}, "datasets": datasets}


def arguments(pictures: Path, rng: random.Random, number: int, folder: Path) -> dict[str, Any]:
    """Return a call, with a dataset config in four of five."""
    found = random_settings(rng) | {"min_bucket_reso": 64}
    size = found["resolution"]
    found["resolution"] = ",".join(map(str, size)) if isinstance(size, list) else str(size)
    found["train_batch_size"] = found.pop("batch_size", 1)
    found |= {"seed": number, "caption_extension": ".txt", "max_bucket_reso": 256}
    if number % 5:
        path = folder / f"{number}.json"
        path.write_text(json.dumps(random_config(pictures, rng)), encoding="utf-8")
        return found | {"dataset_config": path.as_posix()}
    regular = {"reg_data_dir": (pictures / "reg").as_posix()} if rng.random() < 0.5 else {}
    return found | {"train_data_dir": (pictures / "train").as_posix()} | regular


def toml_line(key: str, value: object) -> str:
    return f"{key} = {json.dumps(value)}"


def test_batches_are_the_trainers_own(pictures: Path, tmp_path: Path):
    folder = Path(named("LORALOOM_SD_SCRIPTS"))
    rng = random.Random(int(os.environ.get("LORALOOM_SD_SEED", "1")))
    count = int(os.environ.get("LORALOOM_SD_DATASETS", "150"))
    calls = [arguments(pictures, rng, number, tmp_path) for number in range(count)]
    jobs = []
    for number, values in enumerate(calls):
        path = tmp_path / f"{number}.toml"
        path.write_text("\n".join(toml_line(*one) for one in values.items()), encoding="utf-8")
        jobs.append(str(path))
    (tmp_path / "jobs").write_text(json.dumps(jobs), encoding="utf-8")
    script = tmp_path / "count.py"
    script.write_text(COUNT, encoding="utf-8")
    done = subprocess.run(
        [str(python_of(folder)), str(script), str(folder), str(tmp_path / "jobs"),
         str(tmp_path / "answers")],
        cwd=folder, check=False, capture_output=True, encoding="utf-8", timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads((tmp_path / "answers").read_text(encoding="utf-8"))
    counted = 0
    for values, theirs in zip(calls, answers, strict=True):
        toml = {**values, "max_train_epochs": 1, "network_module": "networks.lora"}
        found = run_preflight(TrainerCall("train_network", toml, (), (), ""))
        codes = {one.code for one in found.errors} - {"LL380"}  # there is no base model
        if isinstance(theirs, str) or theirs == 0:
            assert codes, (values, theirs)
            continue
        at_first_step = {"LL357", "LL369", "LL370"}  # combinations are asserted later, too
        assert codes <= at_first_step, (values, theirs, found.errors)
        assert found.steps is not None, values
        assert found.steps.batches_per_epoch == theirs, values
        counted += 1
    assert counted > count // 3
    print(f"{counted} of {count} calls have the same batches, the rest is refused by both")

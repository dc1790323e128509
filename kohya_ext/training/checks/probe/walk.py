"""Run by the trainer's own Python: its training script up to the first step, with empty models.

`ask_trainer` starts it and reads its answers, one JSON object a line after the mark. No model is
loaded, no picture decoded, no graphics card seen; a file written or a connection made is refused.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .course import ScheduleError, Unfinished, course_of, rates_now, step_once
from .models import Accelerator, Anything, models_of, stand_ins, unmoved
from .names import is_worth_telling, names_read, small, swallowed, unread

MARK = "LORALOOM-ASKED "

_BEYOND_US = re.compile(
    r"meta tensor|meta device|CUDA|cudnn|NVIDIA|\bGPU\b|HIP error|offline|huggingface\.co|"
    r"internet connection|Tokenizer"
)
"""An error that says this is about what is kept from the trainer here, not about the config."""


_WARNS = ("arguments", "settings", "network", "optimizer", "scheduler")
"""The parts whose warnings are about the config; those about pictures have findings of ours."""


class ReadyToTrain(BaseException):
    """All is prepared: the next thing would be the first step."""


class Refused(OSError):
    """The trainer wanted to write a file, start a program or go online."""


def is_beyond_us(error: BaseException) -> bool:
    """Tell whether an error is about what is kept from the trainer here."""
    return isinstance(error, (Refused, NotImplementedError)) or bool(_BEYOND_US.search(str(error)))


class Answers:
    """What is reported: figures, errors, and what could not be asked."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.part = "arguments"
        self.asked: set[str] = set()
        self.failed: list[str] = []
        self.logged = ""

    def tell(self, kind: str, **row: Any) -> None:
        """Write one answer."""
        self._stream.write(
            "\n" + MARK + json.dumps({"kind": kind, "part": self.part, **row}) + "\n"
        )
        self._stream.flush()

    def report(self, error: BaseException) -> None:
        """Tell an error of the trainer, or that this part of it cannot be asked."""
        text = str(error).strip()
        frames = traceback.extract_tb(error.__traceback__)
        last = frames[-1] if frames else None
        ours = last is not None and Path(last.filename).parent == Path(__file__).parent
        follows = bool(self.failed) and isinstance(error, (AttributeError, NameError))
        traceback.print_exception(error)
        row = {"error": f"{type(error).__name__}: {text}".rstrip(": "), "logged": self.logged}
        if last is not None:
            row["place"] = f"{Path(last.filename).name}:{last.lineno}"
        if is_beyond_us(error) or ours:
            self.tell("unasked", **row)
        elif not follows:
            self.tell("error", **row)
        self.failed.append(self.part)

    def ask(self, part: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a part of the trainer; None when it refuses, which is reported."""
        self.part = part
        self.asked.add(part)
        try:
            return function(*arguments, **options)
        except Exception as error:  # noqa: BLE001  # what it raises is its answer
            self.report(error)
            return None


# The script: read before it is run, since what it does on import must be known.


def script_parts(path: Path) -> tuple[list[ast.stmt], str] | None:
    """Return what the script does when it is run, and the trainer class in it; None: another one.

    A script that does its work on import, such as somebody's launcher, is not asked.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {one.name for one in tree.body if isinstance(one, (ast.FunctionDef, ast.ClassDef))}
    classes = {one.name for one in tree.body if isinstance(one, ast.ClassDef)}
    body = next(
        (one.body for one in tree.body if isinstance(one, ast.If) and "__main__" in ast.dump(one)),
        None,
    )
    if body is None or "setup_parser" not in defined:
        return None
    for node in ast.walk(ast.Module(body, [])):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in classes:
            return body, called.id
    return None


def keep_files(scratch: str) -> None:
    """From here on refuse whatever would leave a trace: files outside `scratch`, programs, net."""
    absolute = os.path.abspath  # in a hook the disk is not asked
    allowed = (absolute(scratch), os.devnull)
    changing = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink",
                "os.truncate")  # fmt: skip

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) if not mode else set("wax+") & set(mode)
            if not writes:
                return
        elif event in changing:
            path = arguments[0]
        elif event in ("subprocess.Popen", "socket.connect", "os.system"):
            raise Refused(f"it would use {event}")
        else:
            return
        if isinstance(path, int):  # what is open already
            return
        place = absolute(os.fsdecode(path))
        if place.rpartition("/")[0] == "/dev/shm":  # shared memory of its counters
            return
        if not place.startswith(allowed):
            raise Refused(f"it would change {os.fsdecode(path)}")

    sys.addaudithook(watch)


def trainer_modules(folder: Path) -> list[ModuleType]:
    """Return the trainer's own modules that are loaded."""
    found = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(folder) and "site-packages" not in file:
            found.append(module)
    return found


def replace_everywhere(folder: Path, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(function)` in the place of a function of the trainer, wherever it is known."""
    for module in trainer_modules(folder):
        function = vars(module).get(name)
        if inspect.isfunction(function):
            setattr(module, name, make(function))


class Asking:
    """One walk through the trainer's own preparation."""

    def __init__(self, request: dict[str, Any], answers: Answers) -> None:
        self.request, self.answers = request, answers
        self.script = Path(request["script"])
        self.folder = self.script.parent
        self.torch = importlib.import_module("torch")
        self.args: Any = None
        self.optimizer: Any = None
        self.scheduler: Any = None
        self.rates: list[float] = []
        self.processes = max(1, int(request.get("processes") or 1))

    def run(self) -> None:
        """Do what the script does when it is run, up to the first step."""
        parts = script_parts(self.script)
        if parts is None:
            self.answers.tell("unasked", error=f"{self.script.name} is not a script of sd-scripts")
            return
        body, name = parts
        sys.path.insert(0, str(self.folder))
        module = importlib.import_module(self.script.stem)
        self._prepare()
        asked = self._subclass(getattr(module, name))
        space = {**vars(module), name: asked, "__name__": "__main__"}
        sys.argv = [str(self.script), *self.request["arguments"]]
        try:
            exec(compile(ast.Module(body, []), str(self.script), "exec"), space)
        except ReadyToTrain:
            self.answers.tell("reached")
            self._ask_about_steps()
            return
        except SystemExit as end:
            self.answers.report(ValueError(self.answers.logged or f"it ended with {end.code}"))
        except Exception as error:  # noqa: BLE001  # what it raises is its answer
            self.answers.report(error)
        else:
            if not self.answers.failed:
                self.answers.report(ValueError(self.answers.logged or "it ended before training"))
        self._ask_the_rest()

    def _ask_the_rest(self) -> None:
        """Ask optimizer and scheduler also where the walk ended before them."""
        modules = trainer_modules(self.folder)
        for name in ("get_optimizer", "get_scheduler_fix"):
            function = next((vars(one)[name] for one in modules if name in vars(one)), None)
            if self.args is None or function is None:
                return
            if name == "get_optimizer" and "optimizer" not in self.answers.asked:
                function(self.args, [{"params": [], "lr": self.args.learning_rate}])
            elif name == "get_scheduler_fix" and "scheduler" not in self.answers.asked:
                self.args.max_train_steps = int(self.args.max_train_steps or 1600)
                function(self.args, self.optimizer, self.processes)

    def _ask_about_steps(self) -> None:
        """Make the first step of the optimizer, and all of the scheduler."""
        if self.optimizer is None or self.scheduler is None:
            return
        self.answers.part = "first step"
        try:
            step_once(self.torch, self.optimizer)
        except Exception as error:  # noqa: BLE001  # what it raises is its answer
            if not is_beyond_us(error):
                self.answers.report(error)
            return
        self.answers.part = "learning rate"
        steps = int(self.args.max_train_steps or 0)
        with contextlib.suppress(Unfinished):
            try:
                rows = course_of(self.rates, self.optimizer, self.scheduler, steps, self.processes)
            except ScheduleError as error:
                self.answers.tell("error", error=str(error))
                return
            self.answers.tell("course", groups=rows)

    def _prepare(self) -> None:
        """Put what must not happen here aside, and listen where the trainer asks itself."""
        ask, answers, folder = self.answers.ask, self.answers, self.folder

        def guarded(part: str) -> Callable[[Any], Any]:
            return lambda function: lambda *a, **k: ask(part, function, *a, **k)

        def quiet(result: Any) -> Callable[[Any], Any]:
            return lambda function: lambda *a, **k: result

        replace_everywhere(folder, "verify_training_args", self._verifying)
        replace_everywhere(folder, "prepare_accelerator", self._accelerating)
        replace_everywhere(folder, "get_optimizer", self._optimizing)
        replace_everywhere(folder, "get_scheduler_fix", self._scheduling)
        for name in ("model_hash", "calculate_sha256", "get_git_revision_hash"):
            replace_everywhere(folder, name, quiet(""))
        for name in ("resume_from_local_or_hf_if_specified", "init_trackers", "load_image",
                     "cache_batch_latents", "cache_batch_text_encoder_outputs",
                     "patch_accelerator_for_fp16_training"):  # fmt: skip
            replace_everywhere(folder, name, quiet(None))

        handle = logging.Logger.callHandlers  # the script takes all handlers away once more

        def listen(logger: logging.Logger, record: logging.LogRecord) -> None:
            text = record.getMessage() if record.levelno >= logging.WARNING else ""
            if record.levelno >= logging.ERROR:
                answers.logged = text
            elif text and answers.part in _WARNS and is_worth_telling(text):
                answers.tell("warned", text=text)
            handle(logger, record)

        logging.Logger.callHandlers = listen  # type: ignore[assignment]
        argparse: Any = importlib.import_module("argparse")

        def refuse(parser: Any, message: str) -> None:
            answers.logged = message
            raise SystemExit(2)

        argparse.ArgumentParser.error = refuse

    def _verifying(self, function: Any) -> Any:
        def verify(args: Any, *more: Any) -> Any:
            self.args = args
            if args.base_weights:
                args.base_weights = None  # merging needs the weights themselves
            self.answers.ask("arguments", function, args, *more)
            self.answers.part = "dataset"

        return verify

    def _accelerating(self, function: Any) -> Any:
        def prepare(args: Any) -> Accelerator:
            copy = type(args)(**vars(args))  # no card is seen here, and nobody logs in
            copy.mixed_precision, copy.torch_compile = "no", False
            copy.wandb_api_key = None
            copy.logging_dir = args.logging_dir and self.request["scratch"]
            self.answers.ask("settings", function, copy)
            return Accelerator(self.torch, self.processes, self.answers)

        return prepare

    def _optimizing(self, function: Any) -> Any:
        def optimize(args: Any, groups: Any) -> Any:
            ready = small(self.torch, groups)
            made = self.answers.ask("optimizer", function, args, ready)
            if made is None:
                plain = self.torch.optim.AdamW(small(self.torch, [{"lr": 1e-4}]), lr=1e-4)
                made = ("AdamW", "", plain)
            else:
                for row in swallowed(made[2], list(args.optimizer_args or [])):
                    self.answers.tell("unread", **row)
            self.optimizer, self.rates = made[2], rates_now(made[2])
            self.answers.part = "loader"
            return made

        return optimize

    def _scheduling(self, function: Any) -> Any:
        def schedule(*arguments: Any, **options: Any) -> Any:
            if "optimizer" in self.answers.failed:  # it would be asked about another one
                return Anything()
            made = self.answers.ask("scheduler", function, *arguments, **options)
            self.answers.part, self.scheduler = "precision", made
            return made or Anything()

        return schedule

    def _networking(self, args: Any) -> None:
        """Let the network module make its network without memory, and continue without it."""
        sys.path.append(str(self.folder))
        self.answers.part = "network"
        module: Any = importlib.import_module(args.network_module)
        create, torch, answers = module.create_network, self.torch, self.answers

        def make(*arguments: Any, **options: Any) -> Any:
            given = list(args.network_args or [])
            with torch.device("meta"):
                made = answers.ask("network", create, *arguments, **options)
            for row in unread(given, names_read(module)):
                answers.tell("unread", **row)
            return made or self._no_network()

        module.create_network = make

    def _no_network(self) -> Any:
        parameter = self.torch.nn.Parameter(self.torch.zeros(2, 2))

        class NoNetwork(self.torch.nn.Module):  # type: ignore[misc, name-defined]
            def __getattr__(self, name: str) -> Any:
                if name.startswith("prepare_optimizer_params"):
                    return lambda *a, **k: [{"params": [parameter], "lr": 1e-4}]
                if name in ("apply_to", "load_weights", "prepare_grad_etc", "set_multiplier",
                            "enable_gradient_checkpointing"):  # fmt: skip
                    return lambda *a, **k: None
                return super().__getattr__(name)

        return NoNetwork()

    def _subclass(self, base: Any) -> Any:
        """Return the trainer class with its models empty and its caches only looked at."""
        asking, answers = self, self.answers
        train = inspect.unwrap(base.train)

        def bar(iterable: Any = None, *arguments: Any, desc: str = "", **options: Any) -> Any:
            if desc == "steps":
                raise ReadyToTrain
            return iterable

        train.__globals__["tqdm"] = bar

        class Asked(base):  # type: ignore[misc]
            def assert_extra_args(self, *arguments: Any) -> Any:
                answers.ask("settings", super().assert_extra_args, *arguments)

            def load_target_model(self, args: Any, *more: Any) -> Any:
                asking._look_at_caches(args)
                try:
                    encoders, unet = models_of(asking.script.stem, args)
                except Exception as error:  # noqa: BLE001  # then something simpler will do
                    answers.part = "network"
                    answers.tell("unasked", error=f"{type(error).__name__}: {error}")
                    encoders, unet = stand_ins(asking.torch)
                swap = getattr(args, "blocks_to_swap", None)
                self.is_swapping_blocks = bool(swap)
                if swap and hasattr(unet, "enable_block_swap"):
                    answers.ask(
                        "settings", unet.enable_block_swap, swap, asking.torch.device("cpu")
                    )
                self.models = [unmoved(one) for one in encoders], unmoved(unet)
                asking._networking(args)
                answers.part = "settings"
                encoders, unet = self.models
                several = encoders[0] if asking.script.stem == "train_network" else encoders
                return "asked", several, Anything(), unet

            def load_unet_lazily(self, *arguments: Any) -> Any:
                return self.models[1], self.models[0]

            def load_tokenizer(self, *arguments: Any) -> Any:
                return [Anything(), Anything()] if self.is_sdxl else Anything()

            def get_tokenize_strategy(self, *arguments: Any) -> Any:
                return strategy

            def get_tokenizers(self, *arguments: Any) -> Any:
                return [strategy]

            def cache_text_encoder_outputs_if_needed(self, args: Any, *more: Any) -> Any:
                asking._look_at_outputs(args, more)

            def post_process_network(self, args: Any, accelerator: Any, network: Any,
                                     *more: Any) -> Any:  # fmt: skip
                if type(network).__name__ != "NoNetwork":
                    super().post_process_network(args, accelerator, network, *more)

            def prepare_unet_with_accelerator(self, args: Any, accelerator: Any, unet: Any) -> Any:
                return unet

            def prepare_text_encoder_fp8(self, *arguments: Any) -> None:
                return None

            def sample_images(self, *arguments: Any, **options: Any) -> None:
                return None

        strategy = self._strategy()
        return Asked

    def _strategy(self) -> Any:
        """Return something that passes for a tokenizer: none is fetched for a question."""
        base: Any = object
        with contextlib.suppress(ImportError, AttributeError):
            base = importlib.import_module("library.strategy_base").TokenizeStrategy

        class NoTokenizer(base):  # type: ignore[misc]
            def tokenize(self, *arguments: Any) -> Any:
                return []

            def tokenize_with_weights(self, *arguments: Any) -> Any:
                return [], []

            def __getattr__(self, name: str) -> Any:
                return getattr(Anything(), name)

        return NoTokenizer()

    def _look_at_caches(self, args: Any) -> None:
        """Cached latents are opened as the trainer opens them; what is missing is not made."""
        self.answers.part = "cached latents"
        with contextlib.suppress(ImportError, AttributeError):
            base: Any = importlib.import_module("library.strategy_base").LatentsCachingStrategy
            strategy = base.get_strategy()
            if strategy is not None:
                strategy.cache_batch_latents = lambda *a, **k: None

    def _look_at_outputs(self, args: Any, more: tuple[Any, ...]) -> None:
        self.answers.part = "cached text encoder outputs"
        dataset = next((one for one in more if "new_cache_text_encoder_outputs" in dir(one)), None)
        if getattr(args, "cache_text_encoder_outputs", False) and dataset is not None:
            base: Any = importlib.import_module("library.strategy_base")
            strategy = base.TextEncoderOutputsCachingStrategy.get_strategy()
            if strategy is not None:
                strategy.cache_batch_outputs = lambda *a, **k: None
                accelerator = Accelerator(self.torch, self.processes, self.answers)
                dataset.new_cache_text_encoder_outputs([], accelerator)
        prompts = getattr(args, "sample_prompts", None)
        if prompts and Path(prompts).is_file():
            for module in trainer_modules(self.folder):
                if load := vars(module).get("load_prompts"):
                    self.answers.ask("sample prompts", load, prompts)
                    break
        self.answers.part = "network"


def main() -> None:
    """Answer the request in the last argument on the first stream; all else goes to the second."""
    request = json.loads(sys.argv[-1])
    stream = io.TextIOWrapper(os.fdopen(os.dup(1), "wb"), encoding="utf-8", errors="replace")
    os.dup2(2, 1)
    sys.dont_write_bytecode = True
    answers = Answers(stream)
    try:
        asking = Asking(request, answers)
        importlib.import_module("accelerate")
        keep_files(request["scratch"])
        asking.run()
    except Exception as error:  # noqa: BLE001  # what it raises is its answer
        answers.report(error)
    answers.tell("done", asked=sorted(answers.asked))
    stream.flush()
    os._exit(0)

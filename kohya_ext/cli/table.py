"""The sub-commands of `loraloom`: what they are called, where they live, what they do.

`--help` reads only this table, so that it stays quick; pyproject.toml lists the same names as
entry points of the group `loraloom.commands`, where anyone's plugin joins too.
"""

from __future__ import annotations

START = "Start"
DATASET = "Pictures and captions"
TRAINING = "Training"
PICTURES = "Comparing, showing, publishing"
MORE = "More"

COMMANDS: tuple[tuple[str, str, str, str], ...] = (
    (START, "demo", "kohya_ext.cli.demo:demo", "Run the whole workflow, simulated."),
    (START, "init", "kohya_ext.cli.project:init", "Make a new LoRA project."),
    (START, "show", "kohya_ext.cli.project:show", "Show a project's status."),
    (DATASET, "import", "kohya_ext.cli.dataset:import_", "Import pictures, only new ones."),
    (DATASET, "board", "kohya_ext.cli.board:board", "Sort and caption with the keyboard."),
    (DATASET, "ratings", "kohya_ext.cli.ratings:ratings", "Read or write viewers' ratings."),
    (
        DATASET,
        "trigger",
        "kohya_ext.cli.trigger:trigger",
        "Check whether the trigger word is free.",
    ),
    (DATASET, "stage", "kohya_ext.cli.dataset:stage", "Make the training folders."),
    (DATASET, "caption", "kohya_ext.cli.captions:caption", "Tag the pictures, write captions."),
    (TRAINING, "presets", "kohya_ext.cli.config:presets", "List presets and their reasons."),
    (TRAINING, "config", "kohya_ext.cli.config:config", "Write the Kohya json and the toml."),
    (TRAINING, "check", "kohya_ext.cli.check:check", "Find problems before the training."),
    (TRAINING, "train", "kohya_ext.cli.train:train", "Train, follow, stop, resume."),
    (TRAINING, "queue", "kohya_ext.cli.queue:queue", "Train several projects overnight."),
    (TRAINING, "epochs", "kohya_ext.cli.epochs:epochs", "List the epoch files of a run."),
    (TRAINING, "report", "kohya_ext.cli.report:report", "Report what was trained, and the loss."),
    (TRAINING, "trainer", "kohya_ext.cli.trainer:trainer", "Find or install sd-scripts."),
    (PICTURES, "webui", "a1111_ext.cli.webui:webui", "Show the WebUI's version and models."),
    (PICTURES, "link-loras", "a1111_ext.cli.webui:link_loras", "Link epoch files into the WebUI."),
    (
        PICTURES,
        "tryout",
        "a1111_ext.cli.tryout:tryout",
        "Draw 20 pictures with the newest file.",
    ),
    (PICTURES, "grid", "a1111_ext.cli.grid:grid", "Compare epochs, seeds and settings."),
    (PICTURES, "advise", "a1111_ext.cli.advise:advise", "Recommend an epoch, with reasons."),
    (PICTURES, "pause", "a1111_ext.cli.pause:pause", "Pause or resume drawing."),
    (PICTURES, "prompts", "a1111_ext.cli.prompts:prompts", "Draw, count and check templates."),
    (
        PICTURES,
        "templates",
        "a1111_ext.cli.templates:templates",
        "List starter sets, or write styles.",
    ),
    (PICTURES, "wildcards", "a1111_ext.cli.wildcards:wildcards", "Search and edit wildcards."),
    (PICTURES, "promote", "a1111_ext.cli.promote:promote", "Give the chosen epoch a simple name."),
    (PICTURES, "showcase", "a1111_ext.cli.showcase:showcase", "Draw the LoRA on checkpoints."),
    (PICTURES, "review", "a1111_ext.cli.review:review", "Rate and arrange the pictures."),
    (PICTURES, "upscale", "a1111_ext.cli.review:upscale", "Upscale the chosen pictures."),
    (PICTURES, "select", "a1111_ext.cli.select:select", "Choose and arrange the pictures."),
    (PICTURES, "publish", "a1111_ext.cli.publish:publish", "Make the publish pack."),
    (MORE, "kohya", "kohya_ext.cli.gui:kohya", "Start your Kohya GUI with our tab in it."),
    (MORE, "simulator", "a1111_ext.cli.simulator:simulator", "Run the simulated WebUI."),
    (MORE, "gui", "kohya_ext.cli.gui:gui", "Open all screens in one page."),
)
"""Rows of section, name, `module:attribute` of a click command, and one line of help.

Plain tuples: a NamedTuple would import `typing`, a fifth of what `--help` may cost.
"""

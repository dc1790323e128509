"""`loraloom simulator`: run the simulated WebUI, to try commands without a graphics card."""

from __future__ import annotations

from pathlib import Path

import click

from kohya_ext.project import ConflictError
from kohya_ext.project.cli import TypedPath, emit, next_step, say


@click.command()
@click.argument("folder", type=TypedPath(file_okay=False))
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0: any free port."
)
@click.option("--while-held", type=TypedPath(), hidden=True)
def simulator(folder: Path, port: int, while_held: Path | None) -> None:
    """Run a simulated WebUI until Ctrl-C; its models are in FOLDER, its pictures are cards.

    It answers like the real WebUI, including its silent mistakes. Every picture says
    "simulated".
    """
    from ..simulator.host import SimulatedHost
    from ..simulator.server import SimulatedWebui

    try:
        webui = SimulatedWebui(SimulatedHost(folder), port=port)
    except OSError as error:
        if error.filename:  # the folder, not the port
            raise
        raise ConflictError(
            "LL709",
            f"Port {port} cannot be used: {error.strerror}.",
            "Close the program that uses it, or leave out --port.",
        ) from error
    emit(f"Simulated WebUI on {webui.url}")
    say("Ctrl-C stops it.")
    next_step(f"loraloom webui --webui {webui.url}")
    if while_held:
        webui.stop_with(while_held)
    webui.serve()

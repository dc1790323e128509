"""Whether images/ is still what `stage` would make: it does not follow the board by itself."""

from __future__ import annotations

from ..project import Project
from ..project.decisions.role_plan import read_roles
from ..project.wording import counted
from .intake import source_pictures
from .layout import folder_name
from .ratio import choose_repeats, repeats_of
from .roles_csv import Role
from .staged import read_staged


def stale_sentence(project: Project) -> str:
    """Say how what is staged differs from roles, repeats and trigger word of now; "": it does not.

    "" as well for a set that `stage` did not make, or whose pictures are no longer in source/.
    """
    manifest = project.manifest
    staged = {place.stem.casefold(): place.parts[0] for place in read_staged(project.images_dir)}
    sources = list(source_pictures(project)) if staged else []
    if not sources:
        return ""
    roles = {path.stem.casefold(): role for path, role in read_roles(project, sources).items()}
    trained = {stem: role for stem, role in roles.items() if role is not Role.OUT}
    primary = sum(role is Role.PRIMARY for role in trained.values())
    repeats = choose_repeats(manifest.dataset, primary, len(trained) - primary)
    folders = {
        stem: folder_name(repeats_of(repeats, role), manifest.trigger_word, manifest.class_word)
        for stem, role in trained.items()
    }
    out = sum(1 for stem in staged if roles.get(stem) is Role.OUT)
    new = sum(1 for stem in trained if stem not in staged)
    moved = sum(1 for stem, name in folders.items() if staged.get(stem, name) != name)
    parts = [
        *([f"{counted(out, 'picture is', 'pictures are')} Out now"] if out else []),
        *([f"{counted(new, 'picture is', 'pictures are')} not staged yet"] if new else []),
        *([f"{counted(moved, 'picture belongs', 'pictures belong')} in another folder, such as "
           f"{next(name for stem, name in folders.items() if staged.get(stem, name) != name)}"]
          if moved else []),
    ]  # fmt: skip
    said = "; ".join(parts)
    return f"images/ is older than what is decided: {said}." if parts else ""

"""Hosts are made to forget files that were replaced since, and asked for that once."""

from __future__ import annotations

import pytest
from drawing import cell

from a1111_ext.cells import Backend, Ledger
from a1111_ext.cells.cell import FileUse, LoraUse
from a1111_ext.cells.earlier_files import EarlierFiles
from a1111_ext.cells.model_files import HYPERNETWORK


class Place(Backend):
    """Somewhere that keeps files by their names, or does not."""

    def __init__(self, name: str, *, keeps: bool = True) -> None:
        self.name, self._keeps = name, keeps

    def may_keep(self, name: str) -> bool:
        return self._keeps


KNOWN = pytest.mark.parametrize(("known", "is_told"), [("aa", True), ("bb", False), ("cc", True)])


@KNOWN
def test_a_host_forgets_loras_that_differ_from_the_last_of_their_name(
    ledger: Ledger, known: str, is_told: bool
):
    drawn = cell(loras=(LoraUse("fox", "1", "bb"),))
    ledger.add([drawn])
    ledger.claim(drawn.key)
    ledger.finish(drawn.key, infotext="", pixels="", server="a", seconds=0.0)
    later = cell(seed=2, loras=(LoraUse("fox", "1", known),))
    files = EarlierFiles(ledger)
    assert files.may_be_kept(Place("a"), [later]) is is_told
    assert not files.may_be_kept(Place("a"), [later])  # once


@KNOWN
@pytest.mark.parametrize("kind", [HYPERNETWORK, "VAE", "module", "upscaler"])
def test_a_host_forgets_hypernetworks_that_differ(
    ledger: Ledger, known: str, is_told: bool, kind: str
):
    """Files of other kinds are forgotten in other ways."""
    drawn = FileUse(kind, "moss", "bb")
    ledger.meet_files({drawn})
    ledger.note_drawn_with({drawn})
    later = cell(files=(FileUse(kind, "moss", known),))
    told = is_told and kind == HYPERNETWORK
    assert EarlierFiles(ledger).may_be_kept(Place("a"), [later]) is told
    assert not EarlierFiles(ledger).may_be_kept(Place("a", keeps=False), [later])


def test_a_host_reads_each_vae_once_in_a_run(ledger: Ledger):
    files = EarlierFiles(ledger)
    one, other = Place("a"), Place("b")
    assert not files.may_keep_vae(one, [cell(), cell(vae="Automatic"), cell(vae="None")])
    assert files.may_keep_vae(one, [cell(vae="fox.pt"), cell(seed=2, vae="fox.pt")])
    assert not files.may_keep_vae(one, [cell(seed=3, vae="fox.pt")])
    assert files.may_keep_vae(one, [cell(vae="hen.pt")])
    assert files.may_keep_vae(other, [cell(vae="fox.pt")])

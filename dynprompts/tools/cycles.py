"""Wildcards that lead back to themselves, and whether a draw from them can end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

Leads = Mapping[str, Mapping[str, "list[str]"]]
"""For each wildcard those that it names, and where."""

Exits = Mapping[str, "Collection[frozenset[str]]"]
"""For each wildcard what each of its values needs."""


def find_cycles(leads: Leads, exits: Exits) -> Iterator[tuple[str, str, str]]:
    """Yield code, message and place of each reference that leads back to where it stands."""
    ending = _ending(exits)
    groups = _groups(leads)
    for name in exits:
        for target, places in leads.get(name, {}).items():
            if groups.get(target, target) != groups.get(name, name):
                continue
            for where in places:
                if name in ending:
                    yield "DP203", f'"{name}" leads back to itself', where
                elif exits.get(name):
                    yield "DP212", f'"{name}" leads back to itself without a way out', where


def _ending(exits: Exits) -> set[str]:
    """A wildcard ends when one of its values needs nothing, or only wildcards that end."""
    ending: set[str] = set()
    waiting: dict[str, list[int]] = {}
    ready: list[str] = []
    left: list[int] = []
    owners: list[str] = []
    for name, values in exits.items():
        for needed in values:
            if not needed:
                ready.append(name)
                break
            for one in needed:
                waiting.setdefault(one, []).append(len(left))
            left.append(len(needed))
            owners.append(name)
    while ready:
        name = ready.pop()
        if name in ending:
            continue
        ending.add(name)
        for value in waiting.get(name, ()):
            left[value] -= 1
            if not left[value]:
                ready.append(owners[value])
    return ending


def _groups(leads: Leads) -> dict[str, str]:
    """Return for each wildcard a representative of those that it leads to and that lead to it.

    Tarjan's components, without recursion.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    group: dict[str, str] = {}
    for start in leads:
        if start in number:
            continue
        way = [(start, iter(leads.get(start, ())))]
        number[start] = lowest[start] = len(number)
        stack.append(start)
        on_stack.add(start)
        while way:
            name, further = way[-1]
            for target in further:
                if target not in number:
                    number[target] = lowest[target] = len(number)
                    stack.append(target)
                    on_stack.add(target)
                    way.append((target, iter(leads.get(target, ()))))
                    break
                if target in on_stack:
                    lowest[name] = min(lowest[name], number[target])
            else:
                way.pop()
                if way:
                    above = way[-1][0]
                    lowest[above] = min(lowest[above], lowest[name])
                if lowest[name] == number[name]:
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        group[member] = name
                        if member == name:
                            break
    return group

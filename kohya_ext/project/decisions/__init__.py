"""What people decided: roles, ratings, caption edits, votes, choices, in one store."""

from __future__ import annotations

from .decision import Decision, DecisionKind, Statement
from .roles import Role, find_role, role_of_path
from .store import DecisionStore

__all__ = [
    "Decision",
    "DecisionKind",
    "DecisionStore",
    "Role",
    "Statement",
    "find_role",
    "role_of_path",
]

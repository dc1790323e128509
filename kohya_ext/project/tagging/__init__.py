"""WD14 tagging through onnxruntime: vocabulary, model, stored scores."""

from __future__ import annotations

from .scores import Scores, read_all_scores, read_scores, write_scores
from .tagger import Tagger, open_tagger
from .vocabulary import Category, Tag, Vocabulary, read_vocabulary

__all__ = [
    "Category",
    "Scores",
    "Tag",
    "Tagger",
    "Vocabulary",
    "open_tagger",
    "read_all_scores",
    "read_scores",
    "read_vocabulary",
    "write_scores",
]

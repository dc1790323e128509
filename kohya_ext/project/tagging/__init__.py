"""WD14 tagging through onnxruntime: vocabulary, model, stored scores."""

from __future__ import annotations

from .remote import TaggingTask, score_task
from .scores import Scores, read_all_scores, read_scores, write_scores
from .tagger import Tagger, holds_tagger, open_tagger
from .vocabulary import Category, Tag, Vocabulary, read_vocabulary, tag_key

__all__ = [
    "Category",
    "Scores",
    "Tag",
    "Tagger",
    "TaggingTask",
    "Vocabulary",
    "holds_tagger",
    "open_tagger",
    "read_all_scores",
    "read_scores",
    "read_vocabulary",
    "score_task",
    "tag_key",
    "write_scores",
]

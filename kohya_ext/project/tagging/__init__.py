"""WD14 tagging through onnxruntime: vocabulary, model, stored scores."""

from __future__ import annotations

from .content import PUBLISHING_RATINGS, TRAINING_RATINGS, forbidden_content
from .scores import Scores, read_scores, write_scores
from .tagger import Tagger, open_tagger
from .vocabulary import Category, Tag, Vocabulary, read_vocabulary

__all__ = [
    "PUBLISHING_RATINGS",
    "TRAINING_RATINGS",
    "Category",
    "Scores",
    "Tag",
    "Tagger",
    "Vocabulary",
    "forbidden_content",
    "open_tagger",
    "read_scores",
    "read_vocabulary",
    "write_scores",
]

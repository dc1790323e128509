"""From tagger scores to caption files: rules, hand-made edits, and the plan that writes them."""

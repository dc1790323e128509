"""From the chosen epoch to what a post needs: promotion, card, pack, checks."""

"""From the chosen epoch to what is published: promotion, card, pack."""

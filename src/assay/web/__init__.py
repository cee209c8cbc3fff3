"""Web: room under construction."""

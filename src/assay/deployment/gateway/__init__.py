"""Gateway: under construction."""

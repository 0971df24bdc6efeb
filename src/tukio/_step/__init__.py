"""One step: one execution of one task."""

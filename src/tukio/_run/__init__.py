"""One run: all its state, and the drivers that carry it out."""

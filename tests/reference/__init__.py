"""What a run must do, as a plain program, and the comparison of the engine with it."""

"""What a run and an engine must do, as plain programs, and the comparison with the engine."""

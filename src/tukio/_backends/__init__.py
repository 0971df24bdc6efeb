"""The backends: each fulfils the contracts of `_loop`, and is imported only when it is in use."""

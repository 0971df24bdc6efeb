"""The contracts of `_loop`, fulfilled; each backend is imported when it is in use."""

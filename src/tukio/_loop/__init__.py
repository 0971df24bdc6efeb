"""The contracts between the engine and an event loop, and the means to run coroutines by hand."""

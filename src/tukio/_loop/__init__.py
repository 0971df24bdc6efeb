"""What is asked of an event loop, and what it takes to run coroutines by hand."""

"""The asyncio backend, uvloop included."""

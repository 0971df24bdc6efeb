"""The tasks that come with tukio, in every registry."""

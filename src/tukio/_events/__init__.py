"""Who gets which event: topics, handlers, readers."""

"""The engine: templates, triggers, overrun policies, and the end of many runs."""

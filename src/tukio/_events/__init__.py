"""Events: the topics they are dispatched in, and the handlers and readers that receive them."""

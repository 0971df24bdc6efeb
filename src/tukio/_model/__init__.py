"""What decides: values and synchronous rules, on the standard library; no await, no clock."""

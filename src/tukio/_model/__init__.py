"""The model: values and the rules that decide. Standard library only; no await, and no clock."""

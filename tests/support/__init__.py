"""What the tests stand on: virtual time, a search for leaks, cancellation at every await."""

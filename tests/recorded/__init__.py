"""Tukio 2 beside tukio 1.1.2: the same scenarios, recorded there and played here."""

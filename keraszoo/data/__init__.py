"""Data sets as arrays, and what describes them."""

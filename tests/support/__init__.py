"""What tests and benchmarks share. Imported as `support.…`: pytest and the benchmarks put `tests/` on the path."""

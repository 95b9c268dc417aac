"""Code shared by tests and benchmarks. Imported as `support.…`: pytest and the benchmarks put `tests/` on the path."""

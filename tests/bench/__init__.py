"""Benchmarks: ratios of commands run in turns in one go. Nothing here is asserted by the test suite."""

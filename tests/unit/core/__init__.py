"""Tests of the use cases on a store in memory, with everything outside played by hand and time moved by the test."""

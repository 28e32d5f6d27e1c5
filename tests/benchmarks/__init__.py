"""Benchmarks: each figure beside its named peer, in the same run. `make bench`, `make bench NAME=bus`."""

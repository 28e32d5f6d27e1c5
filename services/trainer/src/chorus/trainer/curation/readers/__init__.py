"""One reader a format: a small file each, that yields one record for every entry it meets.

A reader is a `Reader`: a name for people, a test of the first 64 KiB, and a generator of records. The table
in `table.py` is asked from top to bottom. `docs/adding-a-reader.md` shows a new one.
"""

"""Safe writing of files, private state files and the lock between runs; platform differences live in `platform.py`."""

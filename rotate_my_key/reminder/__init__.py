"""The login-shell reminder: what shells read and what is said (`state.py`, `blocks/`), who says it (`login.py`), how it
gets into a shell's start-up file (`shell.py`), and its folder in the state (`folder.py`)."""

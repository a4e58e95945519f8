"""The login-shell reminder: what shells read (`state.py`, `blocks/`), what is said (`words.py`, `login.py`), and how it
gets into a shell's start-up file (`rcfile.py`, `shells.py`)."""

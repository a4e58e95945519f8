"""`python -I -S .../reminder/__main__.py FOLDER`: what the blocks run when something is due.

By path and without `-m` or site, which would take longer than all it does."""

import os
import sys

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from rotate_my_key.reminder.login import main

    def run(words: tuple[str, ...]) -> None:
        """Loaded in the child that asks AWS."""
        from rotate_my_key.cli.main import run

        run(words, os.environ)

    main(sys.argv[1], run)

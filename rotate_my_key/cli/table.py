"""The table of commands, and the options that may stand before or after any of them. Light: the door reads it."""

from __future__ import annotations

from collections.abc import Sequence

# Each command's line in --help: read without loading any.
GROUPS: dict[str, dict[str, str]] = {
    "Daily": {
        "rotate": "Replace the access key, if it is due (the default).",
        "status": "Show every key on this computer: age, last use, verdict.",
        "history": "Show past rotations on this computer.",
    },
    "Repair": {
        "undo": "Put the old key back, until it is deleted.",
        "restore": "Put a key back where a file was emptied or replaced.",
        "after": "Run a command of [after_rotate] again, or try it.",
        "doctor": "Find what stands in the way of a rotation, with its remedy.",
        "delete-key": "Retire one of your keys that nothing here holds.",
    },
    "This computer": {
        "adopt": "Take a first or new key that IT or the console gave.",
        "export": "Seal a key for another computer.",
        "import": "Take a key that was sealed on another computer.",
        "keyring": "Move a profile's pair between its file and the OS keyring.",
        "scan": "Find other files and processes that hold the key.",
        "reminder": "One line a day in a new terminal when a key is due.",
        "schedule": "A daily rotation that nobody watches.",
        "config": "Show and change settings, and where each comes from.",
        "demo": "Watch a whole rotation against a stand-in; no account needed.",
    },
    "For IT": {
        "policy": "Print the least IAM policy: self, self-mfa, fleet-*.",
        "fleet": "For all users of a company: report, remind, enforce, reissue.",
    },
}
GLOBAL = {"-v", "-vv", "--verbose", "-q", "--quiet", "--no-color"}
OWN = {"--help", "-h", "--version"}  # of the program itself
COMPLETE = "_ROTATE_MY_KEY_COMPLETE"  # click's name for the variable that asks what to offer at TAB


def with_command(args: Sequence[str]) -> list[str]:
    """Insert `rotate` where no command is named: `--force` is `rotate --force`."""
    for number, word in enumerate(args):
        if word not in GLOBAL:
            bare = word.startswith("-") and word not in OWN
            return [*args[:number], "rotate", *args[number:]] if bare else list(args)
    return [*args, "rotate"]

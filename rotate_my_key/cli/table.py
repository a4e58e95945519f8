"""The table of commands, and the options that may stand before or after any of them. Light: the door reads it."""

from __future__ import annotations

# Each command's line in --help: read without loading any.
GROUPS: dict[str, dict[str, str]] = {
    "Start here": {
        "rotate": "Replace your access key, if it is due (also without a command).",
        "status": "Show every key on this computer: age, last use, what is due.",
        "undo": "Put the old key back, as long as it is not deleted.",
        "doctor": "Find problems, and show how to fix them.",
        "reminder": "Show a line in new terminals when a key is due.",
        "schedule": "Rotate automatically every day what is due.",
    },
    "More": {
        "history": "Show past rotations on this computer.",
        "restore": "Put a key back where a file was emptied or replaced.",
        "after": "Run one of your own commands of [after_rotate] again, or try it.",
        "delete-key": "Deactivate, then delete, one of your keys that is not used here.",
        "adopt": "Set up a key that IT or the AWS console gave you.",
        "export": "Encrypt a key, to take it to another computer.",
        "import": "Set up a key that was exported on another computer.",
        "keyring": "Keep a profile's key in the system's keyring.",
        "scan": "Find other files and running programs that have the key.",
        "config": "Show and change settings, and where each comes from.",
        "completion": "Complete commands and profiles with TAB.",
        "uninstall": "Prepare for removing rotate-my-key, and say how.",
        "demo": "Watch a whole rotation; no AWS account needed.",
    },
    "For IT": {
        "policy": "Print the least IAM policy for a task.",
        "fleet": "Manage keys of all users (report, remind, enforce, ...).",
    },
}
COMMANDS = [name for rows in GROUPS.values() for name in rows]
GLOBAL = {"-v", "-vv", "--verbose", "-q", "--quiet", "--no-color"}
OWN = {"--help", "-h", "--version", "-V"}  # of the program itself
COMPLETE = "_ROTATE_MY_KEY_COMPLETE"  # click's name for the variable that asks what to offer at TAB

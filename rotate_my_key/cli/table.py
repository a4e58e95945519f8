"""The table of commands, and the options that may stand before or after any of them. Light: the door reads it."""

from __future__ import annotations

# Each command's line in --help: read without loading any.
GROUPS: dict[str, dict[str, str]] = {
    "Start here": {
        "rotate": "Replace your access key, if it is due (also without a command).",
        "status": "Show every key on this computer: age, last use, what is due.",
        "undo": "Put the old key back, as long as it is not deleted.",
        "doctor": "Check what could make a rotation fail, and say how to fix it.",
        "reminder": "A line in a new terminal when a key is due.",
        "schedule": "Rotate every day what is due, unattended.",
    },
    "More": {
        "history": "Show past rotations on this computer.",
        "restore": "Put a key back where a file was emptied or replaced.",
        "after": "Run one of your own commands of [after_rotate] again, or try it.",
        "delete-key": "Deactivate, then delete, a key of yours that is not used here.",
        "adopt": "Set up a key that IT or the AWS console gave you.",
        "export": "Encrypt a key, to carry it to another computer.",
        "import": "Set up a key that was exported on another computer.",
        "keyring": "Keep a profile's key in the system's keyring.",
        "scan": "Find other files and running programs that have the key.",
        "config": "Show and change settings, and where each comes from.",
        "completion": "Complete commands and profiles at TAB.",
        "uninstall": "Prepare for removing rotate-my-key, and say how.",
        "demo": "Watch a whole rotation; no AWS account needed.",
    },
    "For IT": {
        "policy": "Print the least IAM policy for a task.",
        "fleet": "For all users of a company: report, remind, enforce, revoke.",
    },
}
COMMANDS = [name for rows in GROUPS.values() for name in rows]
GLOBAL = {"-v", "-vv", "--verbose", "-q", "--quiet", "--no-color"}
OWN = {"--help", "-h", "--version", "-V"}  # of the program itself
COMPLETE = "_ROTATE_MY_KEY_COMPLETE"  # click's name for the variable that asks what to offer at TAB

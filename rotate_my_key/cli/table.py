"""The table of commands, and the options that may stand before or after any of them. Light: the door reads it."""

# Command, module, its line in --help: read without loading the module.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Daily": {
        "rotate": ("rotate", "Replace the access key, if it is due (the default)."),
        "status": ("status", "Show every key on this computer: age, last use, verdict."),
        "history": ("history", "Show past rotations on this computer."),
    },
    "Repair": {
        "undo": ("undo", "Put the old key back, until it is deleted."),
        "restore": ("restore", "Put a key back where a file was emptied or replaced."),
        "doctor": ("doctor", "Find what stands in the way of a rotation, with its remedy."),
        "delete-key": ("delete_key", "Retire one of your keys that nothing here holds."),
    },
    "This computer": {
        "adopt": ("adopt", "Take a first or new key that IT or the console gave."),
        "export": ("export", "Seal a key for another computer."),
        "import": ("import_cmd", "Take a key that was sealed on another computer."),
        "keyring": ("keyring_cmd", "Move a profile's pair between its file and the OS keyring."),
        "scan": ("scan", "Find other files and processes that hold the key."),
        "reminder": ("reminder", "One line a day in a new terminal when a key is due."),
        "schedule": ("schedule", "A daily rotation that nobody watches."),
        "config": ("config", "Show and change settings, and where each comes from."),
        "demo": ("demo", "Watch a whole rotation against a stand-in; no account needed."),
    },
    "For IT": {
        "policy": ("policy", "Print the least IAM policy: self, self-mfa, fleet-*."),
        "fleet": ("fleet", "For all users of a company: report, remind, enforce, reissue."),
    },
}
GLOBAL = {"-v", "-vv", "--verbose", "-q", "--quiet", "--no-color"}

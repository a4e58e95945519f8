"""The daily rotation that nobody watches, through whatever scheduler the system has.

`job.py` says what is run, `systemd.py`, `launchd.py`, `windows.py` and `cron.py` each know one scheduler (its text,
pure, and an adapter behind `port.py`), `choose.py` which of them this computer has. Nothing here prints or asks.

What came of a run is in `schedule.json` in the state folder (`last.py`), for `schedule show` and for the reminder,
which speaks of what `last.failure` gives:

    {"version": 1, "last": TRY, "settled": TRY or null}      TRY = {"at": ISO 8601, "code": 0-130, "message", "hint"}

`last` is the latest run; `settled` the latest that did not end with 75 (offline, keyring locked, another run at work)
or 130: those are tried again by the scheduler and are no failure. Before the first run there is no file.
"""

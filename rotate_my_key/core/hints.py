"""What to type next, as a value: a command of ours, put together and quoted here and nowhere else.

A hint follows a call that failed, and acts on the profile, with the files and as the signer of that call: it names its
command, and `within` adds what belongs to the call. What is no command of ours (`chmod 600 FILE`, whom to ask for what)
is a plain str, and is shown as it is."""

from __future__ import annotations

import re
from typing import NamedTuple

_SIGNS = {"rotate", "undo", "restore", "doctor", "delete-key", "adopt", "import"}  # have the options of who signs
_OF_ONE = _SIGNS | {"export", "keyring"}  # work on one profile, the active one unless it is named
_NAMED = {"-p", "--profile", "--all", "--help"}
_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


class Call(NamedTuple):
    """What hints take over from the call that they follow: its words, without rotate-my-key; the profile that it named,
    in its words or its environment; who signs, by option; the variables that name other files than the usual ones."""

    words: tuple[str, ...] = ()
    profile: str = ""
    signer: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


class Hint(str):
    """`Hint("delete-key", key_id, profile=name)`: a command as it is typed, between the words `lead` and `rest`, as in
    `ask IT for this: rotate-my-key policy self`. Without a command it is `rotate`. `profile` is the one in question,
    where that may be another than the call's."""

    words: tuple[str, ...]
    profile: str
    lead: str
    rest: str

    def __new__(cls, *words: str, profile: str = "", lead: str = "", rest: str = "", call: Call | None = None) -> Hint:
        """`call`: which one it follows."""
        call = call or Call()
        verb, name = words[0] if words and not words[0].startswith("-") else "rotate", profile or call.profile
        options = [option for option in call.signer if verb in _SIGNS and not {option[0], "--help"} & {*words}]
        if verb in _OF_ONE and (call.profile or name != "default") and name and _NAMED.isdisjoint(words):
            options.insert(0, ("-p", name))
        place = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
        typed = [*words[:place], *(word for option in options for word in option), *words[place:]]
        files = [f"{name}={quoted(path)}" for name, path in call.files if verb in _OF_ONE or verb == "status"]
        command = " ".join((*files, "rotate-my-key", *map(quoted, typed)))
        hint = super().__new__(cls, f"{lead and f'{lead}: '}{command}{rest}")
        hint.words, hint.profile, hint.lead, hint.rest = words, profile, lead, rest
        return hint

    @property
    def bare(self) -> Hint:
        """The command alone."""
        return type(self)(*self.words, profile=self.profile)

    def within(self, call: Call) -> Hint:
        """The same command in place of the call."""
        return Hint(*self.words, profile=self.profile, lead=self.lead, rest=self.rest, call=call)


class Again(Hint):
    """`Again("--mfa-code", "CODE")`: the call itself once more, with this option."""

    def within(self, call: Call) -> Hint:
        """The whole call, the option in place of one that it had."""
        words = list(call.words)
        if option := next(filter(words.__contains__, self.words[:1]), None):
            place = words.index(option)
            del words[place : place + 2]
        place = words.index("--") if "--" in words else len(words)
        words[place:place] = self.words
        return Hint(*words, lead=self.lead, rest=self.rest, call=call)


# What shows on other systems what Linux's commands in hints show there; `{}` are its words.
_ELSEWHERE = {
    "darwin": {
        "findmnt -T": "df {}",
        "lsattr": "ls -ldO {}",
        "quota -s": "quota",
        "cat /proc/sys/fs/file-nr": "sysctl kern.num_files kern.maxfiles",
    },
    "win32": {
        **dict.fromkeys(("ls -l", "ls -la", "ls -ld"), "icacls {}"),
        **dict.fromkeys(("df -h [^;]+; df -i", "findmnt -T"), "dir {}"),
        **dict.fromkeys(("ulimit -n", "ulimit -u", "ulimit -v"), "taskmgr"),
        "lsattr": "attrib {}",
        "mv": "move {} {}",
        "command -v": "where.exe {}",
        "unset": "Remove-Item Env:{}",
        "dmesg": "chkdsk",
    },
}
_WORD = r"""(?:[^\s'"`;,()]|'[^']*'|"[^"]*")+"""


def on(system: str, hint: str) -> str:
    """What is no command of ours, as it is typed on that system (a name of `sys.platform`): in PowerShell and cmd."""
    for linux, other in _ELSEWHERE.get(system, {}).items():
        if found := re.search(rf"(?<![\w-]){linux}((?: {_WORD})*)(?![\w-])", hint):
            import shlex

            words, count = shlex.split(found[1]), other.count("{}")
            words = [quoted(word) if system == "darwin" else double_quoted(word) for word in words]
            if len(words) >= count:
                return hint[: found.start()] + other.format(*words[len(words) - count :]) + hint[found.end() :]
    return hint


def double_quoted(word: str) -> str:
    """A word as PowerShell and cmd take it."""
    return word if _PLAIN.fullmatch(word.replace("\\", "/").lstrip("~")) else f'"{word}"'


def quoted(word: str) -> str:
    """A word as a shell takes it."""
    if _PLAIN.fullmatch(word):
        return word
    from shlex import quote  # seldom needed, and `credentials` loads this at every start of an SDK

    return quote(word)

"""AWS's stand-in: a strict layer of our own in front of moto, served over HTTP on 127.0.0.1.

For `demo` and the tests; nothing else imports it. `StandIn` is the whole of it; its docstring says how to use it.
"""

from .account import Account
from .rules import Call, Settings
from .standin import StandIn

__all__ = ["Account", "Call", "Settings", "StandIn"]

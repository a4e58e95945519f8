"""The services of the caller's own account besides IAM: the port `fleet.ports.Cloud`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .account_calls import AccountCalls

if TYPE_CHECKING:
    from .logs import CloudWatchLogs
    from .mail import Ses
    from .objects import S3
    from .secrets_manager import SecretsManager
    from .topics import Sns
    from .vault import NamedSecrets


class AwsCloud:
    """See the port. `calls` are to the caller's own account. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def mail(self, region: str = "") -> Ses:
        """See the port."""
        from .mail import Ses

        return Ses(self._calls.at(region))

    def topics(self, region: str = "") -> Sns:
        """See the port."""
        from .topics import Sns

        return Sns(self._calls.at(region))

    def vault(self, region: str = "") -> NamedSecrets:
        """See the port."""
        from .vault import NamedSecrets

        return NamedSecrets(self._calls.at(region))

    def secrets(self, region: str = "") -> SecretsManager:
        """See the port."""
        from .secrets_manager import SecretsManager

        return SecretsManager(self._calls.at(region))

    def objects(self, region: str = "") -> S3:
        """See the port."""
        from .objects import S3

        return S3(self._calls.at(region))

    def logs(self, region: str = "") -> CloudWatchLogs:
        """See the port."""
        from .logs import CloudWatchLogs

        return CloudWatchLogs(self._calls.at(region))

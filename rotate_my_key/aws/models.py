"""botocore's data files, read in half the time.

botocore walks over the folders of all 400 services before it loads one, and reads JSON into OrderedDicts, from the days
when a dict had no order. Both are its documented points of extension (`Loader`, `file_loader`); 20 ms of every start.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

from botocore.exceptions import DataNotFoundError
from botocore.loaders import JSONFileLoader, Loader, create_loader

HOT = ("iam", "sts")  # what a rotation needs
WIDE = (*HOT, "organizations", "sesv2", "sns", "ssm", "secretsmanager", "s3", "logs")


class _PlainJson(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        """The content of `file_path`.json or .json.gz, or None."""
        try:
            with open(f"{file_path}.json", "rb") as plain:
                return json.loads(plain.read())
        except FileNotFoundError:
            pass
        try:
            with gzip.open(f"{file_path}.json.gz", "rb") as packed:
                return json.loads(packed.read())
        except FileNotFoundError:
            return None


class Models(Loader):
    """Knows the services that are named. `data_path` is AWS_DATA_PATH or None; the folders are botocore's."""

    def __init__(self, data_path: str | None, services: tuple[str, ...] = HOT) -> None:
        self._services = services
        paths = create_loader(data_path).search_paths
        super().__init__(extra_search_paths=paths, file_loader=_PlainJson(), include_default_search_paths=False)

    def list_available_services(self, type_name: str) -> list[str]:
        """Those that have this kind of data."""
        return [service for service in self._services if self._has(service, type_name)]

    def _has(self, service: str, type_name: str) -> bool:
        try:
            return bool(self.list_api_versions(service, type_name))
        except DataNotFoundError:
            return False

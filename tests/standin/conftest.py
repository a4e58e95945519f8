"""One stand-in a test process, emptied between tests, and botocore clients for it."""

import os
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]


@pytest.fixture
def aws(running: StandIn) -> StandIn:
    """The stand-in, empty but for alice."""
    running.reset()
    running.add_user("alice")
    return running


@pytest.fixture(scope="session")
def session() -> botocore.session.Session:
    """One session under all clients; it reads nobody's files."""
    session = botocore.session.Session()
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    return session


@pytest.fixture
def client(aws: StandIn, session: botocore.session.Session) -> Client:
    """Make a client: `client("iam", pair)`. Sends once, unless told otherwise."""

    def make(
        service: str, pair: Credentials, region: str = "eu-west-1", read_timeout: float = 5, attempts: int = 1
    ) -> Any:
        config = Config(
            retries={"total_max_attempts": attempts},
            read_timeout=read_timeout,
            connect_timeout=5,
            signature_version="s3v4" if service == "s3" else None,  # else botocore presigns with an older one
        )
        return session.create_client(
            service,
            region_name=region,
            endpoint_url=aws.url,
            aws_access_key_id=pair.key_id,
            aws_secret_access_key=pair.secret,
            aws_session_token=pair.token,
            config=config,
        )

    return make


@pytest.fixture
def root(aws: StandIn) -> Credentials:
    """A key of root, whom no policy binds."""
    return aws.add_key(None)


@pytest.fixture(scope="session")
def refusal() -> Refusal:
    """Make a call that must be refused: `refusal(iam.get_user, UserName="x")` is (code, HTTP status, sentence)."""

    def make(call: Callable[..., object], **parameters: Any) -> tuple[str, int, str]:
        with pytest.raises(ClientError) as caught:
            call(**parameters)
        response = caught.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]

    return make

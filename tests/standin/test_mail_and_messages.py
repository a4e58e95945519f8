"""SES, SNS and CloudWatch Logs: what they take, what they refuse, and how they word it."""

import time
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]
DAY = 24 * 3600 * 1000


def mail(sender: str = "IT <it@example.com>", *to: str) -> dict[str, Any]:
    """A mail, as SendEmail wants it."""
    body = {"Text": {"Data": "the text"}, "Html": {"Data": "<p>the text"}}
    content = {"Simple": {"Subject": {"Data": "your key"}, "Body": body}}
    return {"FromEmailAddress": sender, "Destination": {"ToAddresses": list(to or ("bob@x.org",))}, "Content": content}


@pytest.fixture
def ses(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice."""
    return client("sesv2", aws.add_key("alice"))


def test_a_mail_is_sent(aws: StandIn, ses: Any) -> None:
    """From an address of a verified domain, to anybody; it can be looked at, and its text is not in the record."""
    aws.verify("example.com")
    assert ses.send_email(**mail())["MessageId"]
    (sent,) = aws.mails
    assert (sent.sender, sent.to, sent.subject) == ("IT <it@example.com>", ("bob@x.org",), "your key")
    assert (sent.text, sent.html, sent.region) == ("the text", "<p>the text", "eu-west-1")
    assert "the text" not in repr(aws.mails) + repr(aws.calls)
    assert [(call.service, call.action, call.outcome) for call in aws.calls] == [("ses", "SendEmail", "OK")]


def test_a_raw_mail_is_read(aws: StandIn, ses: Any) -> None:
    """Subject and bodies are found in it."""
    message = EmailMessage()
    message["Subject"] = "schlüssel"
    message.set_content("text")
    message.add_alternative("<p>html", subtype="html")
    aws.verify("it@example.com")
    ses.send_email(**{**mail("it@example.com"), "Content": {"Raw": {"Data": message.as_bytes()}}})
    assert (aws.mails[0].subject, aws.mails[0].text, aws.mails[0].html) == ("schlüssel", "text\n", "<p>html\n")


def test_a_sender_must_be_verified(aws: StandIn, ses: Any, refusal: Refusal) -> None:
    """In the region where it is sent from; a domain counts for those below it, an address for itself alone."""
    aws.verify("other@example.com")
    aws.verify("example.com", region="us-east-1")
    code, status, sentence = refusal(ses.send_email, **mail())
    assert (code, status) == ("MessageRejected", 400)
    assert "failed the check in region EU-WEST-1: IT <it@example.com>" in sentence
    aws.verify("example.com", region="eu-west-1")
    assert ses.send_email(**mail("it@mail.example.com"))
    assert refusal(ses.send_email, **mail("it@badexample.com"))[0] == "MessageRejected"


def test_the_sandbox_sends_to_verified_addresses_only(aws: StandIn, ses: Any, refusal: Refusal) -> None:
    """And GetAccount tells that it is one; nothing is sent to anybody if one of them is not verified."""
    aws.verify("example.com")
    assert ses.get_account()["ProductionAccessEnabled"] is True
    aws.settings.ses_sandbox = True
    assert ses.get_account()["ProductionAccessEnabled"] is False
    sentence = refusal(ses.send_email, **mail("it@example.com", "bob@example.com", "carol@x.org"))[2]
    assert sentence.endswith("carol@x.org")
    assert "bob" not in sentence
    assert aws.mails == []
    aws.verify("carol@x.org")
    ses.send_email(**mail("it@example.com", "bob@example.com", "carol@x.org"))
    assert len(aws.mails) == 1


def test_what_is_no_mail(aws: StandIn, ses: Any, refusal: Refusal) -> None:
    """Without recipient, with something that is no address, without content."""
    aws.verify("example.com")
    wrong = [
        {**mail(), "Destination": {}},
        mail("it@example.com", "bob"),
        {**mail(), "Content": {"Simple": {"Subject": {"Data": ""}, "Body": {}}}},
        {**mail(), "Content": {"Template": {"TemplateName": "x"}}},
    ]
    assert {refusal(ses.send_email, **each)[:2] for each in wrong} == {("BadRequestException", 400)}


def test_a_new_identity_waits_for_its_owner(aws: StandIn, ses: Any, refusal: Refusal) -> None:
    """It is there and cannot be used."""
    ses.create_email_identity(EmailIdentity="it@example.com")
    assert ses.get_email_identity(EmailIdentity="it@example.com")["VerifiedForSendingStatus"] is False
    assert refusal(ses.send_email, **mail())[0] == "MessageRejected"
    aws.verify("it@example.com", "eu-west-1")
    assert ses.get_email_identity(EmailIdentity="it@example.com")["VerifiedForSendingStatus"] is True
    assert refusal(ses.get_email_identity, EmailIdentity="nobody@example.com")[:2] == ("NotFoundException", 404)


def test_ses_says_no_in_its_own_words(aws: StandIn, ses: Any, refusal: Refusal) -> None:
    """Names and statuses differ from IAM's."""
    aws.deny("SendEmail", times=1)
    aws.fault("SendEmail", "throttle")
    aws.fault("SendEmail", "500", skip=1)
    refused = [refusal(ses.send_email, **mail())[:2] for _ in range(3)]
    assert refused == [
        ("TooManyRequestsException", 429),
        ("AccessDeniedException", 403),
        ("InternalServerError", 500),
    ]


# SNS


@pytest.fixture
def sns(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice."""
    return client("sns", aws.add_key("alice"))


def test_a_message_is_published(aws: StandIn, sns: Any) -> None:
    """To a topic of the region; it can be looked at, and its text is not in the record."""
    topic = aws.add_topic("keys", "eu-west-1")
    assert sns.publish(TopicArn=topic, Subject="your key", Message="the text")["MessageId"]
    (told,) = aws.published
    assert (told.topic, told.subject, told.message) == (topic, "your key", "the text")
    assert "the text" not in repr(aws.published) + repr(aws.calls)


@pytest.mark.parametrize(
    "subject", ["", "x" * 101, "schlüssel", "two\nlines", " blank", "tab\t"], ids=lambda subject: repr(subject[:9])
)
def test_what_a_subject_may_not_be(aws: StandIn, sns: Any, refusal: Refusal, subject: str) -> None:
    """SNS takes 100 ASCII characters, without line breaks."""
    topic = aws.add_topic("keys", "eu-west-1")
    assert refusal(sns.publish, TopicArn=topic, Subject=subject, Message="x") == (
        "InvalidParameter",
        400,
        "Invalid parameter: Subject",
    )
    sns.publish(TopicArn=topic, Subject="x" * 100, Message="x")


def test_messages_that_nobody_gets(aws: StandIn, sns: Any, refusal: Refusal) -> None:
    """A topic that is not there, of another region, of another account; no text; too long a text."""
    topic, far = aws.add_topic("keys", "eu-west-1"), aws.add_topic("keys", "us-east-1")
    assert refusal(sns.publish, TopicArn=topic + "x", Message="x")[:2] == ("NotFound", 404)
    assert refusal(sns.publish, TopicArn=far, Message="x")[2] == "Invalid parameter: TopicArn"
    other = topic.replace(aws.account, "123456789012")
    assert refusal(sns.publish, TopicArn=other, Message="x")[:2] == ("AuthorizationError", 403)
    assert refusal(sns.publish, TopicArn=topic, Message="")[0] == "InvalidParameter"
    assert refusal(sns.publish, TopicArn=topic, Message="ü" * 131073)[2] == "Invalid parameter: Message too long"
    assert aws.published == []


def test_topics_are_made_and_listed(aws: StandIn, sns: Any) -> None:
    """In pages; making one again gives the same."""
    arns = {sns.create_topic(Name=name)["TopicArn"] for name in ("a", "b", "c", "a")}
    aws.settings.page_size = 2
    pages = [page["Topics"] for page in sns.get_paginator("list_topics").paginate()]
    assert [len(page) for page in pages] == [2, 1]
    assert {topic["TopicArn"] for page in pages for topic in page} == arns


# CloudWatch Logs


@pytest.fixture
def logs(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice; the group /audit is there."""
    aws.add_log_group("/audit")
    return client("logs", aws.add_key("alice"))


def event(at: int, message: str = "x") -> dict[str, Any]:
    """One event, so many milliseconds from now."""
    return {"timestamp": int(time.time() * 1000) + at, "message": message}


def test_events_are_kept(aws: StandIn, logs: Any) -> None:
    """In order, stream by stream."""
    for stream in ("b", "a"):
        logs.create_log_stream(logGroupName="/audit", logStreamName=stream)
        logs.put_log_events(logGroupName="/audit", logStreamName=stream, logEvents=[event(-2, stream), event(-1, "z")])
    assert aws.log_lines("/audit") == ["a", "z", "b", "z"]


def test_groups_and_streams_must_be_there_and_are_made_once(aws: StandIn, logs: Any, refusal: Refusal) -> None:
    """ResourceNotFoundException, ResourceAlreadyExistsException."""
    put = {"logStreamName": "s", "logEvents": [event(0)]}
    assert refusal(logs.create_log_stream, logGroupName="/no", logStreamName="s")[0] == "ResourceNotFoundException"
    assert refusal(logs.put_log_events, logGroupName="/audit", **put)[0] == "ResourceNotFoundException"
    logs.create_log_stream(logGroupName="/audit", logStreamName="s")
    again = refusal(logs.create_log_stream, logGroupName="/audit", logStreamName="s")
    assert again[:2] == ("ResourceAlreadyExistsException", 400)
    assert refusal(logs.create_log_stream, logGroupName="/audit", logStreamName="a:b")[0] == "InvalidParameterException"
    logs.create_log_group(logGroupName="/new")
    assert refusal(logs.create_log_group, logGroupName="/new")[0] == "ResourceAlreadyExistsException"
    assert aws.log_lines("/new", "eu-west-1") == []


def test_what_a_batch_may_not_be(logs: Any, refusal: Refusal) -> None:
    """Out of order, over more than a day, more than a mebibyte with 26 bytes for each event, more than 10,000."""
    logs.create_log_stream(logGroupName="/audit", logStreamName="s")
    wrong = [
        [event(0), event(-10)],
        [event(-DAY - 1000), event(0)],
        [event(0, "x" * 900_000), event(0, "x" * 148_525)],
        [event(0)] * 10_001,
    ]
    for events in wrong:
        refused = refusal(logs.put_log_events, logGroupName="/audit", logStreamName="s", logEvents=events)
        assert refused[:2] == ("InvalidParameterException", 400)
    whole = [event(0, "x" * 900_000), event(0, "x" * 148_524)]
    logs.put_log_events(logGroupName="/audit", logStreamName="s", logEvents=whole)


def test_events_of_another_time_are_left_out(aws: StandIn, logs: Any) -> None:
    """The call succeeds: only its answer tells which were too old or too new."""
    logs.create_log_stream(logGroupName="/audit", logStreamName="s")

    def put(*events: dict[str, Any]) -> Any:
        answer = logs.put_log_events(logGroupName="/audit", logStreamName="s", logEvents=list(events))
        return answer.get("rejectedLogEventsInfo")

    assert put(event(-14 * DAY - 60_000), event(-14 * DAY + 60_000, "kept")) == {"tooOldLogEventEndIndex": 1}
    assert put(event(0, "kept too"), event(DAY // 12 + 60_000)) == {"tooNewLogEventStartIndex": 1}
    assert aws.log_lines("/audit") == ["kept", "kept too"]

"""What senders answered, short enough to compare; and answers for senders that follow a script."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from dicom_node.domain.values import Answer, SendOutcome

NO_ANSWER = SendOutcome.NO_ANSWER
NOT_ACCEPTED = SendOutcome.NOT_ACCEPTED
NOT_SENT = SendOutcome.NOT_SENT
UNAVAILABLE = SendOutcome.UNAVAILABLE
UNREADABLE = SendOutcome.UNREADABLE

#: The status of a destination that answered, else the outcome.
Said: TypeAlias = int | SendOutcome


def said(answers: Iterable[Answer]) -> list[tuple[Said, str]]:
    """Take all answers; the status or outcome of each, and its reason."""
    return [
        (answer.outcome if answer.status is None else answer.status, answer.reason)
        for answer in answers
    ]


def answer(what: Said, reason: str = "why") -> Answer:
    """Make the answer that `said` shows as ``(what, reason)``."""
    if isinstance(what, SendOutcome):
        return Answer(what, None, reason)
    return Answer(SendOutcome.ANSWERED, what, reason)

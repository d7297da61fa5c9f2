"""An MLLP receiver of hl7apy, which shares no code with the node: ``PORT FOLDER``.

Each message is held against the grammar and tables of its HL7 version. What hl7apy finds is written
into the folder, one file for each message, before it is acknowledged; an error is answered with AE.
It closes the connection after each message.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hl7apy.core import Message
from hl7apy.exceptions import ValidationError
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message


class _Receiver(AbstractHandler):  # type: ignore[misc]
    folder = Path()

    def reply(self) -> str:
        message = parse_message(self.incoming_message, find_groups=True)
        control_id = message.msh.msh_10.value
        report = self.folder / f"{control_id}.part"
        try:
            message.validate(report_file=str(report))
            code = "AA"
        except ValidationError:
            code = "AE"
        report.rename(report.with_suffix(".txt"))
        answer = Message("ACK", version="2.5.1")
        answer.msh.msh_9 = "ACK^R01^ACK"
        answer.msa.msa_1, answer.msa.msa_2 = code, control_id
        return str(answer.to_mllp())


if __name__ == "__main__":
    _Receiver.folder = Path(sys.argv[2])
    handlers = {"ORU^R01^ORU_R01": (_Receiver,)}
    MLLPServer("127.0.0.1", int(sys.argv[1]), handlers).serve_forever()

"""The service that the schedules of faults run against ends cleanly, whatever its callers do."""

import gc
import socket
from contextlib import suppress
from pathlib import Path

from fault_service import FaultyService


def test_a_caller_that_is_still_waiting_is_hung_up_on(tmp_path: Path) -> None:
    forever = {"rules": [{"on": "balance", "do": "delay", "seconds": 600}]}
    with FaultyService(tmp_path / "service") as service:
        service.start(forever)
        host, _, port = service.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as caller:
            caller.sendall(f"GET /api/v3/balance HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            while not service.books.calls():
                pass

            service.stop()

            # Nothing is left to the garbage collector, whose warning would fail the test that runs by then.
            gc.collect()
            with suppress(ConnectionResetError):
                assert b"200 OK" not in caller.recv(1000)

"""Subscriptions over a WebSocket, in both sub-protocols, with a real client and a real server."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.types import Message
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from mapi.domain import lifecycle
from mapi.domain.query import LogRequest
from mapi.domain.run import Run
from mapi.domain.user import Caller
from mapi.logs import Chunk
from mapi.web.protocol import APOLLO, TRANSPORT, Protocol
from mapi.web.websocket import GraphQLOverWebSocket
from mcli.models.run_status import RunStatus
from tests.web.documents import DOCUMENTS
from tests.web.samples import created
from tests.web.standin import DEADLINE, KEY, Server, StandIn, eventually

S = RunStatus

both = pytest.mark.parametrize("protocol", [TRANSPORT, APOLLO], ids=lambda protocol: protocol.name)


class Client:
    """One connection, in the words of one sub-protocol."""

    def __init__(self, socket: ClientConnection, protocol: Protocol) -> None:
        self.socket = socket
        self.protocol = protocol

    def tell(self, type_: str, **more: Any) -> None:
        self.socket.send(json.dumps({"type": type_, **more}))

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(DEADLINE))
        return message

    def greet(self, key: str = KEY) -> None:
        self.tell("connection_init", payload={"Authorization": key, "Content-Type": "application/json"})
        assert self.hear() == {"type": "connection_ack"}

    def begin(self, id: str, document: str, **variables: Any) -> None:
        self.tell(self.protocol.begin, id=id, payload={"query": DOCUMENTS[document], "variables": variables})

    def watch(self, id: str, name: str) -> None:
        self.begin(id, "watchRunStatus", watchRunStatusInput={"name": name})

    def pieces(self, id: str) -> list[Any]:
        """What an operation answers, up to its end."""
        found = []
        while (message := self.hear())["type"] != "complete":
            assert (message["type"], message["id"]) == (self.protocol.piece, id), message
            assert set(message["payload"]) == {"data"}
            (value,) = message["payload"]["data"].values()
            found.append(value)
        assert message["id"] == id
        return found

    def error(self, id: str) -> dict[str, Any]:
        """The error an operation ends with."""
        message = self.hear()
        assert (message["type"], message["id"]) == ("error", id), message
        payload = message["payload"]
        assert isinstance(payload, list if self.protocol is TRANSPORT else dict)
        error = payload[0] if self.protocol is TRANSPORT else payload
        assert isinstance(error, dict)
        return error

    def closed(self) -> tuple[int, str]:
        """The code and the reason the server closes with."""
        with pytest.raises(ConnectionClosed) as closed:
            self.socket.recv(DEADLINE)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason


@contextmanager
def connected(server: Server, protocol: Protocol, *, greet: bool = True) -> Iterator[Client]:
    with connect(server.address, subprotocols=[Subprotocol(protocol.name)]) as socket:
        assert socket.subprotocol == protocol.name
        client = Client(socket, protocol)
        if greet:
            client.greet()
        yield client


@pytest.fixture
def run(server: Server) -> str:
    configuration = {"runName": "hello", "image": "bash", "command": "echo"}
    (created,) = server.data(DOCUMENTS["createRun"], createRunData={"runInput": configuration})
    name = created["name"]
    assert isinstance(name, str)
    return name


@both
def test_a_status_comes_at_once_then_each_change_then_the_end(
    server: Server, platform: StandIn, run: str, protocol: Protocol
) -> None:
    platform.statuses = [S.QUEUED, S.RUNNING, S.COMPLETED]
    with connected(server, protocol) as client:
        client.watch("1", run)
        assert client.pieces("1") == ["QUEUED", "RUNNING", "COMPLETED"]


@both
def test_the_connection_outlives_its_operations(
    server: Server, platform: StandIn, run: str, protocol: Protocol
) -> None:
    platform.statuses = [S.FAILED]
    with connected(server, protocol) as client:
        for id in ("1", "2", "1"):
            client.watch(id, run)
            assert client.pieces(id) == ["FAILED"]


def test_the_newer_protocol_is_preferred_and_a_client_that_offers_none_speaks_the_older(
    server: Server, platform: StandIn, run: str
) -> None:
    platform.statuses = [S.COMPLETED]
    for offered, chosen, protocol in (
        (["graphql-ws", "graphql-transport-ws"], "graphql-transport-ws", TRANSPORT),
        (["graphql-ws"], "graphql-ws", APOLLO),
        ([], None, APOLLO),
    ):
        subprotocols = [Subprotocol(name) for name in offered]
        with connect(server.address, subprotocols=subprotocols or None) as socket:
            assert socket.subprotocol == chosen
            client = Client(socket, protocol)
            client.greet()
            client.watch("1", run)
            assert client.pieces("1") == ["COMPLETED"]


@both
def test_log_pieces_are_base64_with_the_byte_they_end_before(
    server: Server, platform: StandIn, run: str, protocol: Protocol
) -> None:
    platform.chunks = [Chunk(b"caf\xc3", 4), Chunk(b"\xa9\r\xff\n", 5_000_000_000)]
    with connected(server, protocol) as client:
        client.begin("1", "getRunLogsV2", getRunLogsInput={"name": run, "follow": False, "offset": 0})
        pieces = client.pieces("1")
        assert [base64.b64decode(piece["chunk"]) for piece in pieces] == [b"caf\xc3", b"\xa9\r\xff\n"]
        assert [piece["endOffset"] for piece in pieces] == [4, 5_000_000_000]
        client.begin("2", "getRunLogs 0.3.0", getRunLogsInput={"name": run, "offset": 0})
        assert b"".join(map(base64.b64decode, client.pieces("2"))) == b"caf\xc3\xa9\r\xff\n"


def test_what_is_asked_of_a_log_reaches_the_platform(server: Server, platform: StandIn, run: str) -> None:
    with connected(server, TRANSPORT) as client:
        asked = {
            "name": run, "attemptIndex": 1, "nodeRank": 2, "offset": 3_000_000_000, "tail": 7, "failed": True,
            "exceptionOnly": True, "containerName": "MAIN", "timestamps": True, "follow": False,
        }  # fmt: skip
        client.begin("1", "getRunLogsV2", getRunLogsInput=asked)
        assert client.pieces("1") == []
    expected = LogRequest(
        run, 1, 2, offset=3_000_000_000, tail=7, failed=True, exception_only=True, timestamps=True
    )
    assert platform.asked[-1] == ("read_logs", expected)


def test_the_largest_piece_of_a_log_fits_the_frames_a_client_takes(
    server: Server, platform: StandIn, run: str
) -> None:
    platform.chunks = [Chunk(bytes(256 * 1024), 256 * 1024)]
    with connected(server, TRANSPORT) as client:
        client.begin("1", "getRunLogsV2", getRunLogsInput={"name": run})
        frame = client.socket.recv(DEADLINE)
        assert len(frame) < 700_000
        client.pieces("1")


@both
def test_a_wrong_key_is_an_error_of_the_operation_not_of_the_connection(
    server: Server, run: str, protocol: Protocol
) -> None:
    with connected(server, protocol, greet=False) as client:
        client.greet("wrong")
        for id in ("1", "2"):
            client.watch(id, run)
            error = client.error(id)
            assert error["extensions"] == {"code": 401, "kind": "Unauthorized"}
            assert "not known" in error["message"]


@both
@pytest.mark.parametrize(
    ("payload", "code", "says"),
    [
        (
            {"query": DOCUMENTS["watchRunStatus"], "variables": {"watchRunStatusInput": {"name": "x"}}},
            404,
            "x",
        ),
        ({"query": "subscription { nothing }"}, 400, "nothing"),
        (
            {"query": "subscription { getInferenceDeploymentLogsV2 { a } }"},
            501,
            "getInferenceDeploymentLogsV2",
        ),
        ({}, 400, "query"),
        (None, 400, "query"),
    ],
)
def test_an_operation_that_cannot_be_performed_ends_with_an_error(
    server: Server, protocol: Protocol, payload: Any, code: int, says: str
) -> None:
    with connected(server, protocol) as client:
        client.tell(protocol.begin, id="1", payload=payload)
        error = client.error("1")
        assert error["extensions"]["code"] == code
        assert says in error["message"]


@both
def test_an_error_after_the_first_piece_ends_the_operation(
    server: Server, platform: StandIn, run: str, protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    platform.statuses = [S.RUNNING]
    platform.failure = RuntimeError("swordfish")
    with connected(server, protocol) as client:
        client.watch("1", run)
        assert client.hear()["payload"] == {"data": {"watchRunStatus": "RUNNING"}}
        assert client.error("1")["message"] == "Internal Server Error"
    assert "swordfish" in caplog.text


@both
def test_an_operation_that_is_given_up_ends_and_its_id_is_free(
    server: Server, platform: StandIn, run: str, protocol: Protocol
) -> None:
    platform.statuses = [S.RUNNING]
    with connected(server, protocol) as client:
        client.watch("1", run)
        assert client.hear()["payload"] == {"data": {"watchRunStatus": "RUNNING"}}
        assert platform.streams == 1
        client.tell(protocol.give_up, id="1")
        eventually(lambda: platform.streams == 0)
        platform.statuses = [S.STOPPED]
        client.watch("1", run)
        assert client.pieces("1") == ["STOPPED"]


@both
def test_many_operations_share_a_connection_and_end_with_it(
    server: Server, platform: StandIn, run: str, protocol: Protocol
) -> None:
    platform.statuses = [S.RUNNING]
    with connected(server, protocol) as client:
        for number in range(50):
            client.watch(str(number), run)
        assert {client.hear()["id"] for _ in range(50)} == {str(number) for number in range(50)}
        assert platform.streams == 50
    eventually(lambda: platform.streams == 0)


def test_a_query_can_be_asked_over_a_socket(server: Server) -> None:
    with connected(server, TRANSPORT) as client:
        client.begin("1", "getUsers", getUsersData={"filters": {}})
        ((user,),) = client.pieces("1")
        assert user["name"] == "Ada"


def test_a_ping_is_answered_and_a_pong_is_not(server: Server) -> None:
    with connected(server, TRANSPORT) as client:
        client.tell("pong")
        client.tell("ping")
        assert client.hear() == {"type": "pong"}
        client.tell("ping", payload={"at": 1})
        assert client.hear() == {"type": "pong", "payload": {"at": 1}}


def test_the_first_clients_say_goodbye(server: Server) -> None:
    with connected(server, APOLLO) as client:
        client.tell("connection_terminate")
        assert client.closed() == (1000, "")


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (['{"type": "subscribe", "id": "1", "payload": {}}'], 4401),
        (['{"type": "connection_init"}', '{"type": "connection_init"}'], 4429),
        (['{"type": "connection_init"}', '{"type": "subscribe", "payload": {}}'], 4400),
        (['{"type": "start", "id": "1"}'], 4400),
        (["hello"], 4400),
        (["[" * 50_000], 4400),
        ([b"\0"], 4400),
    ],
)
def test_a_message_that_breaks_the_rules_closes_the_connection(
    server: Server, messages: Sequence[str | bytes], code: int
) -> None:
    with connected(server, TRANSPORT, greet=False) as client:
        for message in messages:
            client.socket.send(message)
        if code in (4429,) or len(messages) > 1:
            assert client.hear() == {"type": "connection_ack"}
        assert client.closed()[0] == code


def test_an_id_cannot_be_used_twice_at_once(server: Server, platform: StandIn, run: str) -> None:
    platform.statuses = [S.RUNNING]
    with connected(server, TRANSPORT) as client:
        client.watch("1", run)
        client.hear()
        client.watch("1", run)
        assert client.closed()[0] == 4409


def test_a_client_that_speaks_neither_protocol_is_told_which_there_are(server: Server) -> None:
    with connect(server.address, subprotocols=[Subprotocol("soap")]) as socket:
        code, reason = Client(socket, TRANSPORT).closed()
        assert code == 4406
        assert "graphql-transport-ws" in reason


def test_a_server_that_goes_away_says_so_and_ends_what_it_served(run: str) -> None:
    platform = StandIn()
    platform.statuses = [S.RUNNING]
    with Server(platform, KEY) as server:
        configuration = {"runName": "hello", "image": "bash", "command": "echo"}
        server.data(DOCUMENTS["createRun"], createRunData={"runInput": configuration})
        with connected(server, TRANSPORT) as client:
            client.watch("1", run)
            client.hear()
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            assert client.closed()[0] == 1012
            stopping.join(DEADLINE)
    assert platform.streams == 0


def test_a_client_that_reads_slowly_does_not_fill_the_servers_memory() -> None:
    run, _ = created()

    class Endless(StandIn):
        produced = 0

        async def watch(self, caller: Caller, run_name: str) -> AsyncIterator[Run]:
            while True:
                self.produced += 1
                status = S.RUNNING if self.produced % 2 else S.TERMINATING
                yield lifecycle.with_latest(run, status=status)

    platform = Endless()
    said: list[Message] = []
    query = {"query": DOCUMENTS["watchRunStatus"], "variables": {"watchRunStatusInput": {"name": "x"}}}
    heard = [
        {"type": "websocket.connect"},
        *(
            {"type": "websocket.receive", "text": json.dumps(message)}
            for message in (
                {"type": "connection_init", "payload": {"Authorization": KEY}},
                {"type": "subscribe", "id": "1", "payload": query},
            )
        ),
    ]

    async def scenario() -> None:
        stuck, gone = asyncio.Event(), asyncio.Event()

        async def receive() -> Message:
            if heard:
                return heard.pop(0)
            await gone.wait()
            return {"type": "websocket.disconnect", "code": 1006}

        async def send(message: Message) -> None:
            said.append(message)
            if len(said) > 4:
                stuck.set()
                await asyncio.Event().wait()

        scope = {"type": "websocket", "subprotocols": ["graphql-transport-ws"]}
        serving = asyncio.create_task(GraphQLOverWebSocket(platform)(scope, receive, send))
        await stuck.wait()
        for _ in range(1000):
            await asyncio.sleep(0)
        assert platform.produced == 3
        gone.set()
        await serving

    asyncio.run(scenario())


def test_a_shell_is_refused_with_a_reason(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/v1/shell/hello-000000/0") as socket:
        code, reason = Client(socket, TRANSPORT).closed()
    assert code == 1002
    assert "is not known" in reason

"""The tools over the Model Context Protocol, by its official package: nothing else here knows that package.

Standard output belongs to the protocol. `stdio_server` leads everything else that is written there to stderr, from
child processes too, and children read nothing from standard input.

https://modelcontextprotocol.io/specification/2025-11-25/server/tools
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus
from jsonschema import Draft202012Validator, ValidationError
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from kubectl_lbdoctor import HOME_PAGE, __version__
from kubectl_lbdoctor.checks.wording import listed
from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.knowledge.secret_text import without_credentials
from kubectl_lbdoctor.mcp_server.answers import NOTICE
from kubectl_lbdoctor.mcp_server.desk import Call, Desk
from kubectl_lbdoctor.mcp_server.schemas import Schema
from kubectl_lbdoctor.mcp_server.tools import Tool
from kubectl_lbdoctor.render.documents import Document
from kubectl_lbdoctor.render.text import quoted

AT_ONCE = 4
"""Calls that are made at the same time; others wait. Each asks for all that it needs at once already."""

NAME = "kubectl-lbdoctor"

_INSTRUCTIONS = (
    "Finds out why targets of AWS load balancers on EKS (AWS Load Balancer Controller) are unhealthy. Call diagnose "
    "with the object or with what an alarm names; the first diagnosis is the root cause. What could not be read is "
    "unknown and stands in notRead with the permission to add: do not take it for absent or healthy. explain says "
    "more about a code. Repair what the diagnosis names as its object, by plan_fix or by the commands in "
    "fix.commands, and only after a person has agreed. "
)


def serve(desk: Desk, tools: Sequence[Tool]) -> None:
    """Answer on standard input and output until the client closes them. Raises KeyboardInterrupt for Ctrl-C, once a fix
    that is being made has ended."""
    # On a thread of its own: the one that waits for input cannot be interrupted while it reads.
    executor = ThreadPoolExecutor(1)
    try:
        executor.submit(anyio.run, _serve, desk, tools).result()
    finally:
        executor.shutdown(wait=False)
        desk.let_fix_end()


async def _serve(desk: Desk, tools: Sequence[Tool]) -> None:
    service = _Service(desk, tools)
    server: Server[Any] = Server(
        NAME,
        version=__version__,
        title="kubectl lbdoctor",
        instructions=f"{_INSTRUCTIONS}{desk.reach} {NOTICE}",
        website_url=HOME_PAGE,
        on_list_tools=service.list_tools,
        on_call_tool=service.call_tool,
    )
    env = desk.env
    # The package takes over the streams of the process by itself.
    streams = () if env.has_process_streams else (anyio.wrap_file(env.stdin), anyio.wrap_file(env.stdout))
    async with stdio_server(*streams) as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


class _Service:
    """Answers the requests of one client."""

    def __init__(self, desk: Desk, tools: Sequence[Tool]) -> None:
        self._desk = desk
        self._tools = {tool.name: tool for tool in tools}
        self._places = anyio.Semaphore(AT_ONCE)

    async def list_tools(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """All tools, on one page."""
        return types.ListToolsResult(tools=[_described(tool) for tool in self._tools.values()])

    async def call_tool(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """The answer of a tool. What went wrong is an answer, too, so that an agent reads the sentence; only a tool
        that does not exist is an error of the protocol."""
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name!r}")
        arguments = params.arguments or {}
        wrong = next(iter(Draft202012Validator(tool.takes).iter_errors(arguments)), None)
        if wrong is not None:
            place = wrong.json_path.removeprefix("$").removeprefix(".")
            what = f"{tool.name} cannot take {place}" if place else f"{tool.name} cannot be called so"
            return _failed(f"{what}: {wrong.message}", _what_it_takes(tool, wrong))
        odd = next((text for text in _texts(arguments) if not text.isprintable()), None)
        if odd is not None:
            return _failed(f"{tool.name} cannot take {odd!a}: no name has such characters")
        async with self._places:
            return await self._run(tool, self._desk.begin(arguments, tool.seconds))

    async def _run(self, tool: Tool, call: Call) -> types.CallToolResult:
        """Make the call on a thread. One that is cancelled ends its reads; a fix that has begun to write is waited for,
        so that the process does not end in the middle of it."""
        async with anyio.create_task_group() as group:
            await group.start(_stop_when_cancelled, call)
            made = await anyio.to_thread.run_sync(self._made, tool, call, abandon_on_cancel=tool.read_only)
            group.cancel_scope.cancel()
        return made

    def _made(self, tool: Tool, call: Call) -> types.CallToolResult:
        """The answer of a call, whatever comes of it."""
        try:
            return _answered(tool.run(self._desk, call))
        except LbdoctorError as error:
            return _failed(error.message, error.hint)
        except Exception as error:
            self._desk.env.note(without_credentials(traceback.format_exc().rstrip()))
            return _failed(
                f"this is a bug of kubectl lbdoctor: {type(error).__name__}: {error}",
                "report it with a bundle that a person makes: kubectl lbdoctor … --save FILE",
            )


async def _stop_when_cancelled(call: Call, *, task_status: TaskStatus[None]) -> None:
    try:
        task_status.started()
        await anyio.sleep_forever()
    finally:
        call.stop()


def _what_it_takes(tool: Tool, wrong: ValidationError) -> str:
    """What is asked for at the place of a wrong argument."""
    fields: dict[str, Schema] = tool.takes["properties"]
    if wrong.absolute_path:
        return str(fields[str(wrong.absolute_path[0])].get("description", ""))
    needed = tool.takes.get("required", ())
    named = [f"{name} (required)" if name in needed else name for name in fields]
    return f"it takes {listed(named, len(named))}"


def _texts(value: object) -> Iterator[str]:
    """All texts of a call's arguments."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.takes,
        output_schema=tool.gives,
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.read_only,
            open_world_hint=not tool.own_world,
        ),
    )


def _answered(made: Document) -> types.CallToolResult:
    """The document, and the same as text for clients that know no structured answers."""
    text = json.dumps(made, ensure_ascii=False)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=made,
        is_error=made.get("status") in ("refused", "failed"),
    )


def _failed(message: str, hint: str = "") -> types.CallToolResult:
    """An error with the sentences of the command line."""
    lines = [f"error: {quoted(message)}", *([f"hint: {quoted(hint)}"] if hint else [])]
    return types.CallToolResult(content=[types.TextContent(type="text", text="\n".join(lines))], is_error=True)

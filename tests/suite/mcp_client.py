"""Calls every tool of an autorag MCP server with the client of the PyPI package mcp, in both protocol eras.

    mcp_client.py http URL
    mcp_client.py stdio COMMAND ARGUMENT...
"""

import asyncio
import sys

from mcp import Client, StdioServerParameters

TOOLS = {"fetch", "rag_read", "rag_search", "rag_sources", "search"}


async def call_every_tool(server, mode):
    async with Client(server, mode=mode) as client:
        listed = await client.list_tools()
        names = {tool.name for tool in listed.tools}
        assert names == TOOLS, names

        async def call(name, **arguments):
            result = await client.call_tool(name, arguments)
            assert not result.is_error, (name, result)
            return result.structured_content

        # Over stdio the index may still be catching up.
        for _ in range(600):
            sources = await call("rag_sources")
            if sources["index_state"]["complete"]:
                break
            await asyncio.sleep(0.1)
        assert sources["index_state"]["complete"], sources

        found = await call("rag_search", query="where do penguins live", filters={"type": "html"})
        best = found["passages"][0]
        assert best["path"].endswith("site/index.html"), best
        read = await call("rag_read", path=best["path"], start_line=best["start_line"])
        assert "Penguins" in read["text"], read
        results = (await call("search", query="penguins"))["results"]
        document = await call("fetch", id=results[0]["id"])
        assert "Penguins" in document["text"], document

        wrong = await client.call_tool("rag_search", {"query": ""})
        assert wrong.is_error and "query" in wrong.content[0].text, wrong


async def main():
    kind, *words = sys.argv[1:]
    server = words[0] if kind == "http" else StdioServerParameters(command=words[0], args=words[1:])
    for mode in ["legacy", "2026-07-28", "auto"]:
        await call_every_tool(server, mode)
        print(f"{kind}, {mode}: every tool answered")


asyncio.run(main())

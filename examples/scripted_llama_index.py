"""An LLM that calls tools by a script, so that the agent example always does the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool


class ScriptedLLM(FunctionCallingLLM, CustomLLM):
    """Calls the first tool with what was asked, then repeats what that found."""

    @property
    def metadata(self) -> types.LLMMetadata:
        """Says that it can call tools."""
        return types.LLMMetadata(is_chat_model=True, is_function_calling_model=True)

    def chat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:
        """A tool call after a question, an answer after a tool's result."""
        last, tools = messages[-1], options.get("tools", [])
        if last.role == types.MessageRole.TOOL or not tools:
            return ChatResponse(message=ChatMessage(f"I read: {last.content}", role="assistant"))
        call = types.ToolCallBlock(
            tool_call_id="1",
            tool_name=tools[0].metadata.get_name(),
            tool_kwargs={"input": last.content},
        )
        return ChatResponse(message=ChatMessage(blocks=[call], role="assistant"))

    def complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponse:
        """The same without tools."""
        return CompletionResponse(text=str(self.chat([ChatMessage(prompt)]).message.content))

    def stream_complete(self, *arguments: Any, **options: Any) -> types.CompletionResponseGen:
        """All at once."""
        yield self.complete(*arguments, **options)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        asked = [ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg]
        return {"messages": [*(chat_history or []), *asked[: user_msg is not None]], "tools": tools}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **options: Any
    ) -> list[ToolSelection]:
        """The calls in a response."""
        blocks = response.message.blocks
        calls = [block for block in blocks if isinstance(block, types.ToolCallBlock)]
        return [
            ToolSelection(
                tool_id=call.tool_call_id or "",
                tool_name=call.tool_name,
                tool_kwargs=call.tool_kwargs if isinstance(call.tool_kwargs, dict) else {},
            )
            for call in calls
        ]

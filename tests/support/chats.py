"""Conversations as people export them."""

import json


def chat(*said: tuple[str, str]) -> str:
    """A conversation as DiscordChatExporter writes it, a message a minute: (author's name, text)."""
    messages = [
        {
            "id": str(1000 + number),
            "type": "Default",
            "timestamp": f"2026-01-05T10:{number:02}:00+00:00",
            "content": text,
            "author": {"id": str(sum(name.encode())), "name": name, "isBot": False},
        }
        for number, (name, text) in enumerate(said)
    ]
    channel = {"id": "10", "type": "GuildTextChat", "name": "general"}
    return json.dumps({"guild": {"id": "1", "name": "G"}, "channel": channel, "messages": messages}, indent=2)

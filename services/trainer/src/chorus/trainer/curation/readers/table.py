"""All readers, in the order in which they are asked: what is told surely comes before what takes anything."""

from chorus.trainer.curation.readers.chats import CHATS
from chorus.trainer.curation.readers.columns import COLUMNS
from chorus.trainer.curation.readers.discord_csv import DISCORD_CSV
from chorus.trainer.curation.readers.discord_json import DISCORD_JSON
from chorus.trainer.curation.readers.discord_package import DISCORD_PACKAGE
from chorus.trainer.curation.readers.discord_txt import DISCORD_TXT
from chorus.trainer.curation.readers.mimicbot import MIMICBOT
from chorus.trainer.curation.readers.pairs import PAIRS
from chorus.trainer.curation.readers.selfchatbot import SELFCHATBOT
from chorus.trainer.curation.readers.text import TEXT

FILES = (DISCORD_JSON, DISCORD_CSV, DISCORD_TXT, CHATS, PAIRS, COLUMNS, TEXT)
FOLDERS = (DISCORD_PACKAGE, SELFCHATBOT, MIMICBOT)

ACCEPTED = (
    "DiscordChatExporter's JSON, CSV and TXT, Discord's data package, "
    'JSON of {"user": "…", "bot": "…"} or {"messages": […]}, tables (CSV), plain text, and ZIPs of these'
)
"""For people who sent something else."""

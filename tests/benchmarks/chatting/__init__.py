"""The gateway on Discord: answers that are written by edits, and a crowd that asks."""

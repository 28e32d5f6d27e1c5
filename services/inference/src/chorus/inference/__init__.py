"""Many voices on one engine: answers questions with the base model or a guild's adapter."""

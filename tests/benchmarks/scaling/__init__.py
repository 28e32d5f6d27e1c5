"""Scale by simulation: what a crowd of guilds waits for, from service times that were measured.

day        what a busy guild does in an hour, and what each of these deeds costs where
queues     stations that serve in order, and the events between them
adapters   which adapter is where, when questions go to any engine or always to the same
pages      the tables of docs/scale.md
"""

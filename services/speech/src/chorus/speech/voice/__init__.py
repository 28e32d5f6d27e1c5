"""From a request to sound or words, without knowing which engine makes them.

ports    what is needed of engines
tasks    what an engine's process is told, and tells: one message a line
sound    samples, and whether there is anything in them: pure
text     what of a message is worth saying aloud: pure
checks   whose recording, how large, which language: pure
turns    one after another, and no guild more than its share
"""

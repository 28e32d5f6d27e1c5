"""Discord: Chorus as a member of a server, or in direct messages.

frontend    stays logged in until the process stops; what Discord refuses for good, in words
client      hears messages, answers each once, ends cleanly
work        replies in hand, so that a stop can wait for them
messages    which messages are meant for us, and what they say
history     channels and what was said in them, for `!mine`
rooms       what is remembered of each channel
files       `file=NAME`, among what is attached to the message
place       where a reply goes: an answer to the message, more messages, typing
render      replies as messages
answers     a model's answer as a text that grows
streaming   text that changes, shown by edits: the latest wins, at a pace
splitting   long text in messages that Discord takes, code blocks whole
"""

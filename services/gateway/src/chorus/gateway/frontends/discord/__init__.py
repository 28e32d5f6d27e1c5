"""Discord: Chorus as a member of a server, or in direct messages.

frontend    stays logged in until the process stops; what Discord refuses for good, in words
identify    with which shards, to read what, never two logins at once
invite      the link by which it is invited
permissions      what a server has to permit us
client      hears what people do, answers each once, ends cleanly
greeting    a friendly word where we have just come
work        replies in hand, so that a stop can wait for them

messages    which messages are meant for us, and what they say
chosen      what each server has chosen, read once
talk        what people say, as lines to run in the conversation that they go on with
memory      which conversation that is
reading     what was said before, read back from Discord
mentions    names in place of mentions
said        messages as turns: whose words, without decoration
thumbs      reactions below our messages, as lines
attached    text files that come with what people say
rooms       what is remembered of each channel

tree        slash commands and menus, as Discord lists them
slash       every command as a slash command
buttons     lines to press
forms       words that are asked for before a line is run
menus       what stands in the menu of a message
origin      who asks, where, and by what
people      who is in a server
files       `file=NAME`, among what is attached
history     channels and what was said in them, for `!mine`
apart       the same for a process that is not on Discord
voice       voice channels: coming and going
call        what is said in one of them, in turn
sounds      what that is made of: packets that go out as they are, or ffmpeg's
voice_message      spoken replies, as Discord wants them

place       where a reply goes: an answer to the message, more messages, typing
followups   where replies to slash commands, presses and forms go, and who may see them
failures    how Discord lets us down
refused     where Discord does not let us answer: who is told, and what is missing
render      replies as messages
answers     a model's answer as a text that grows
streaming   text that changes, shown by edits: the latest wins, at a pace
limits      how many edits Discord takes in each channel
splitting   long text in messages that Discord takes, code blocks whole
cards       trainings that are watched, also after a restart
missed      what was said while nobody heard it
unfinished  answers that are being written: none is left half by a restart
job_card    the message that a training is shown in
"""

"""A double of Discord at the wire, for the real discord.py: its REST routes, its Gateway, its CDN.

world         people, servers, channels, messages, in Discord's JSON
limits        five requests in five seconds, and the answers of who asks for more
gateway       the WebSocket: hello, identify, resume, heartbeats, events
rest          the HTTP routes
interactions  slash commands, presses, forms, menus: what people do, and how it is answered
strict        what Discord would not take of what is pressed, filled in or listed
history       those that read back: messages, threads
voice         voice channels: who is there, and the bot's connections, WebSocket and UDP
answers       JSON, refusals, "come again"
double        all of it on one port, and what people do there
place         our front-end in a server of it, with Chorus behind it played

It is strict. What it does not know, or what Discord would not take, is noted in `wrong`, and the context
that ran the double fails at its end.
"""

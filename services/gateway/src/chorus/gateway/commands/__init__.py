"""What people can ask for. Pure: a command takes a `Context` and its parameters and returns a `Reply`.

parsing      a line of text → a command's parameters
replies      what a command may return
telling      how a training is told while it goes on
ports        what commands need of the world
context      who asks, where, and with what
training · jobs · chat · models · speech · help      the commands
table        all of them, by name: every front-end reads this one table
"""

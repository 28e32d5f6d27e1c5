"""The console: Chorus in a terminal, or from a script on standard input.

lines      where lines come from: a prompt with history, or a file
render     replies as text on a terminal
answers    a model's answer, as it comes
files      `file=PATH` and `to=PATH`, on one's own disk
repl       read, run, show; again
"""

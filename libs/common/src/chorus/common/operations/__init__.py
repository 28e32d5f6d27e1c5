"""What whoever runs Chorus does with it as a whole: look whether all is well, keep a copy, bring it back.

access      where Chorus is, and as which user one comes
findings    what a check found out: a line for people, a record for programs
machine     checks of this machine: room, memory, GPU, versions
servers     checks of NATS and the object store
status      what runs, what waits, what is kept
screenful   the same for people
archive     the file that a backup is: members with their sums, the manifest last
files       such a file while it is written: private, and whole or not there
snapshots   a stream as NATS itself copies it, and back
backup      `chorus backup`
restore     `chorus restore`
cli         the words of the command line that lead here
"""

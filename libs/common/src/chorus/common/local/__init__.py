"""All of Chorus on one machine: NATS, S3 and the services, each a process, started and stopped together.

folder      where its data lies, and who holds it
keys        an nkey for each NATS user, credentials for S3: made once
servers     how nats-server and the S3 server are configured and called
process     one child: started, waited for until ready, stopped
stack       all of them, in order
supervisor  what dies is started again
addresses   where its parts listen
console     the gateway's console in this terminal
screen      what a person sees of it
"""

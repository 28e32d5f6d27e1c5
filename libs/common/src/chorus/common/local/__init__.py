"""All of Chorus on one machine: NATS, S3 and the services, each a process, started and stopped together.

folder      where its data lies, and who holds it
keys        an nkey and an S3 secret for each user: made once
servers     how nats-server and the S3 server are called
nats        how nats-server is configured, here and in deploy/nats
certificates  a certificate authority, and the certificate of NATS's servers
deployment  `chorus keys`: all of these for a deployment of one's own
process     one child: started, waited for until ready, stopped
stack       all of them, in order
supervisor  what dies is started again
addresses   where its parts listen
console     the gateway's console in this terminal
screen      what a person sees of it
"""

"""The words on the wire: one file a topic, one model a message, its docstring the grammar.

names        who may be called what: guilds, datasets, models, jobs
wire         the base of every message; decoding with errors for people
storage      objects in S3, by reference
datasets     data.v1.*          KV datasets
mining       KV settings        how far a guild's channels were read
training     train.*            KV jobs, events of a job
hyperparameters      what of a training people may choose
leases       KV leases          one GPU for training and for answering
models       KV models          manifest of an adapter
merging      train.v1.merge
generation   infer.v1.*
speech       speech.v1.*
guild        KV settings
consent      consent.v1.*       KV consent
feedback     KV feedback, replies, opinions
quotas       KV quotas
cards · unfinished · identify      KV of the same names: being on Discord whatever is restarted
topology     the streams and buckets that hold all this
channels     every address, with what is said there
permissions  which NATS user may do what
policies     which of them may do what in S3
"""

"""The words on the wire: one file a topic, one model a message, its docstring the grammar.

names        who may be called what: guilds, datasets, models, jobs
wire         the base of every message; decoding with errors for people
storage      objects in S3, by reference
datasets     data.v1.*          KV datasets
training     train.*            KV jobs, events of a job
models       KV models          manifest of an adapter
generation   infer.v1.*
speech       speech.v1.*
guild        KV settings
topology     the streams and buckets that hold all this, and who may touch what
"""

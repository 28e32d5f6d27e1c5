"""The bus: a thin, honest layer on nats-py.

    connection   connect policy; a size cap that keeps the client alive; refusals that say why
    headers      errors and ids in message headers
    inboxes      where answers go, and nowhere else
    calls        ask: one reply, or a stream of them
    responder    answer: an ADR-32 service, many requests at a time, a real drain
    replies      the writing end of a stream of replies
    state        key-value buckets of typed records: compare-and-set, and news of changes
    jobs         the worker's end of a work queue: heartbeats, and hand-back on stop
    claims       who may write a job's entry
    tls          whom we believe, and that nothing is said in plain text
    absence      how long the bus has been away
    discovery    what a service tells of itself

Why not FastStream or `nats.micro`: docs/adr/0002.
"""

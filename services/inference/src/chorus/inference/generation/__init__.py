"""From a request to an answer, without knowing which engine gives it.

ports       what is needed of an engine
catalogue   which models there are, kept up to date from the bucket
checks      whether an adapter may come near the engine: pure
shelf       adapters on disk and in the engine, each fetched once
prompt      a conversation as token ids that fit the model's window: pure
"""

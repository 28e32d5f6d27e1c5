"""From a request to an answer, without knowing which engine gives it.

ports       what is needed of an engine
admission   whose turn it is: bounded lines, one for each guild
voices      who answers: the base, an adapter, a whole model
prompt      a conversation as token ids that fit the model's window: pure
scoring     how likely replies are
pacing      tokens, gathered into pieces
waiting     telling again and again why it takes long

catalogue   which models there are, kept up to date from the bucket
checks      whether an adapter may come near the engine: pure
weights     what is in an adapter's file
disk        folders with a limit to their size
shelf       adapters and whole models on disk, each fetched once
seats       places for adapters in an engine
residency   which adapters are in the engine

life        one engine after the other: started, watched, asleep
in_hand     what an engine is being asked, and how it is broken off
host        an engine that outlives its engines
whole       whole models, each on an engine of its own
lease       one GPU for answers and trainings, in turn
"""

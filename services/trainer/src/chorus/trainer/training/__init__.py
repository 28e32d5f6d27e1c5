"""One training job, from a claimed entry to a published model.

    run            the narrative: turn, claim, work, watch, settle
    turns          whose turn it is
    once           one job and no more, for a worker that is started for each
    work           train and store, commit, publish
    materials      data and parent, fetched and checked
    lineage        what it was made of must still be there
    gpu            the GPU that it has alone, or in turn with inference
    attempt        the child, from where the last attempt came to, and what it tells
    process        how that child is started
    report         what the child is given, and what it tells
    newest         work beside the training: on the newest of what the child has made
    checkpoints    stored while it trains, found again by whoever goes on
    journal        what a job says while it runs: its entry and its events
    servable       an adapter, or the whole model that it has to be merged into
    merging        an adapter and its base become a whole model, in a child
    publish        files and manifest to S3, the model's record, the guild's voice
    parity         whether inference answers as the trained model did
    queue          taking a job that nobody will run out of the queue
    orders         what an operator does with a job: cancels it, has it tried again
    sweeper        bringing entries and queue together again

Pure:

    checking       everything that is wrong, before a job is queued
    refusals       what is refused there and by the worker, in the same words
    quota          how much a guild may train in 24 hours
    limits         how long a job may go on
    estimate       what it will take: steps, memory, time
    recipe         every hyper-parameter that is run
    lessons        examples become groups of lessons
    fitting        an example within the limit of tokens
    packing        lessons into rows, rows into steps
    architectures  whether the result is an adapter or a whole model
    modelcard      what a model is, for people

Nothing here imports torch. The child, which does, is `chorus.trainer.child`.
"""

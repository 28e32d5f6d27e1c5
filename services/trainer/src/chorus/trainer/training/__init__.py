"""One training job, from a claimed entry to a published model.

    run           the narrative: turn, claim, work, watch, settle
    turns         whose turn it is
    work          train and store, commit, publish
    materials     data and parent, fetched and checked
    lineage       what it was made of must still be there
    attempt       the child, from where the last attempt came to, and what it tells
    process       how that child is started
    checkpoints   stored while it trains, found again by whoever goes on
    newest        work beside the training: on the newest of what the child has made
    journal       what a job says while it runs: its entry and its events
    queue         taking a job out of the queue that nobody will run
    sweeper       bringing entries and queue together again
    servable      an adapter, or a whole model, merged in a child
    publish       files and manifest to S3, the model's record, the guild's voice
    parity        whether inference answers as the trained model did
    report        what the child is given, and what it tells

Pure: recipe, limits, checking, estimate, lessons, fitting, packing, architectures, modelcard.

Nothing here imports torch. The child, which does, is `chorus.trainer.child`.
"""

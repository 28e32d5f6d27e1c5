"""One training job, from a claimed entry to a published model.

    run        the narrative: claim, work, watch, settle
    work       train and store, commit, publish
    journal    what a job says while it runs: its entry and its events
    queue      taking a job out of the queue that nobody will run
    process    the child process, and what it tells us
    publish    adapter and manifest to S3, the model's record, the guild's voice
    report     what the child is given, and what it tells
    recipe     every hyper-parameter, chosen from wishes, data and base: pure
    packing    examples into rows: pure

Nothing here imports torch. The child, which does, is `chorus.trainer.child`.
"""

"""Teach a model something, and ask it. Start Chorus first: `make run`."""

from chorus.client import SyncClient

with SyncClient() as chorus:
    job = chorus.train("examples/first-run.json", model="club")
    for moment in job:
        if moment.total:
            print(f"{moment.stage}: {moment.done} of {moment.total}")
    job.wait()  # raises what went wrong
    print(chorus.load_model("club"), "says:", chorus.chat("What's the cat called?"))

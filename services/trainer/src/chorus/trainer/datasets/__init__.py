"""Datasets as the service keeps them: in S3 and KV, built by a child process.

library      versions: find, add, withdraw, delete
people       who is in a version
consent      who may be learned from
building     files → a child process → a version
pulse        who waits hears that it goes on
archive      a version as a ZIP
export       a person's words, for them
forgetting   a person's words, out of everything
mined        what was harvested from channels
feedback     tests that went wrong, examples that models are shown, and personas
stale        models that learned from what was forgotten
checkpoints  checkpoints of trainings that did, and of jobs that have ended
keeper       what is left to be done: deletions cut short, deadlines, uploads that nobody needs
"""

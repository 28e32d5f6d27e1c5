"""From files that a person handed over to examples that a model can learn from.

    orders                      what the process is given, and what it tells
    reading, archive, source    files and what is in ZIPs, told by their content
    unknown, notes              what a file looks like that nobody reads; what to know of those that were
    readers                     one small reader a format, each a generator of records
    records                     what readers give: a message, an example as it stands, what cannot be used
    build                       from records to a version: start to read here

    gather, overlaps            consent; each message once, in order of time
    speakers                    how people are called, and whose replies are learned
    clean                       words without markup; bots, commands and duplicates go
    duplicates                  what was said before, exactly or nearly
    conversations               by replies, and by silence
    turns, examples             who says what at once, who answers, where a long talk is cut
    monologues, ready           one person alone; examples that came as such
    personal, phones, secrets   e-mail addresses, numbers, tokens: placeholders
    situational                 replies that hang on a day or a place
    tokens                      how long all that is
    split                       the newest conversations, kept aside
    card                        what became of each record, and what is in the version
    stored                      its files

Nothing here imports a model library. It runs in a process of its own, `chorus.trainer.curator`.
"""

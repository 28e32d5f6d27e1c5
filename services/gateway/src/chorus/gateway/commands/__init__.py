"""What people can ask for. Pure: a command takes a `Context` and its parameters and returns a `Reply`.

command      one of them: its name, its parameters, how it is explained
counting     how often each is given, what comes of it, how long people wait
parsing      a line of text → a command's parameters
blocks       code fences and JSON in a text: one piece, whatever stands in them
options      how data is built, how a model is trained: parameters as the contracts have them
replies      what a command may return
phrases      small parts of sentences
telling      how an import and a training are told while they go on
outcome      how a training ended: words, loss curve, replies before and after
figures      a training's figures in words
ports · trainings      what commands need of the world, and of what takes a while
context      who asks, where, and with what
trust        who may be learned from
rights · granted · quotas · people      who may do what, how much of it, and who that is
asking · answering · which      how a question is made; its way to an answer that is kept; which one is meant
reviewing · reviewed      what waits for a review, and who was shown what of it
preferences · adding      what people thought of answers as examples, and how a dataset gets them
wording      replies in the words of a guild with another prefix
sources      what is to be learned, and how it becomes a dataset
catalogue    finding a dataset, or an uploaded file, by its name
searching    which question of a dataset is most like another one
bases        what people call base models
recent       a few values that are at hand for a while
card · histogram · curve      a dataset in words, its lengths and a run's losses as pictures
cases · verdict · keeping     a test's records, its outcome, and what is kept of that
history · reading      what mining needs of the world, and how channels are read
calls        what speaking in voice channels needs of the world
training · importing · mining · datasets · privacy · notice · jobs · chat · compare · persona · examples
· models · testing · errors · speech · voice · settings · choices · feedback · review · qa · welcome · mimic
· help
             the commands
rows         all of them, by name: every front-end reads this one table
table        runs a line, or a form, by it
"""

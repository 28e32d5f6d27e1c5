"""The command line: `chorus import export.json --name club` runs one command of the table, and ends.

arguments      words of a command line → a command's parameters
once           run it, show what comes of it, say whether it worked
play           `chorus play`: a talk with what was trained on a dataset
training       `chorus train`: what it can beside `!train`
models         `chorus models export | merge | push`: models out of Chorus
preprocess     `chorus preprocess -d 1`: a folder as selfchatbot has them
"""

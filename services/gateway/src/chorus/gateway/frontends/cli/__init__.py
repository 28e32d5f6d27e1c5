"""The command line: `chorus import export.json --name club` runs one command of the table, and ends.

arguments      words of a command line → a command's parameters
once           run it, show what comes of it, say whether it worked
play           `chorus play`: a talk with what was trained on a dataset
training       `chorus train`: what it can beside `!train`
models         `chorus models export | merge | push`: models out of Chorus
hub            a folder onto the Hugging Face hub
init           `chorus init`: what has to be known, asked and checked
questions      what it asks, and how an answer is had
checks         what it finds out about an answer
envfile        the file `.env`
doctor         `chorus doctor`: is all well here, and what to do if not
forge          `chorus forge`: from data to a model that talks
preprocess     `chorus preprocess -d 1`: a folder as selfchatbot has them
"""

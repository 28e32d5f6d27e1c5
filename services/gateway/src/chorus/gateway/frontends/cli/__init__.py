"""The command line: `chorus import export.json --name club` runs one command of the table, and ends.

arguments      words of a command line → a command's parameters
once           run it, show what comes of it, say whether it worked
preprocess     `chorus preprocess -d 1`: a folder as selfchatbot has them
"""

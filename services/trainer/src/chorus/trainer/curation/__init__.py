"""From a file that a person handed over to examples that a model can learn from.

readers     one small reader a format, each a generator of examples
detect      which format a file is, by its content
build       read, check, count: a dataset version with its card
"""

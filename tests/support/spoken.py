"""Eight sentences that are said and heard again, and how much of them was misheard."""

import shutil

SENTENCES = (
    "hello world one two three",
    "we are ready to go",
    "the weather is very nice today",
    "please open the door and come in",
    "he was born in the month of may",
    "they will be back before the end of the week",
    "my father works in a small office",
    "the children play in the garden after school",
)


def best_engine() -> str:
    """The offline voice that recognisers understand the best, of those that are here."""
    return "flite" if shutil.which("flite") else "espeak"


def word_errors(said: str, heard: str) -> int:
    """Words put in, left out or replaced between the two (Levenshtein's distance, in words)."""
    row = list(range(len(heard.split()) + 1))
    for number, word in enumerate(said.split(), 1):
        before, row[0] = row[0], number
        for at, other in enumerate(heard.split(), 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]


def word_error_rate(pairs: list[tuple[str, str]]) -> float:
    """Of all that was said: errors for each word. Pairs of what was said and what was heard."""
    errors = sum(word_errors(said, heard) for said, heard in pairs)
    return errors / sum(len(said.split()) for said, _ in pairs)

"""How tokens, keys and passwords look: mostly by the prefixes that their makers gave them to be found by.

A pattern starts only where a word starts, and none repeats what repeats: no text takes it long.
"""

import re

_KNOWN = re.compile(
    "(?<![A-Za-z0-9_-])(?:"
    + "|".join(
        (
            r"gh[opsur]_[A-Za-z0-9]{36,255}",  # GitHub
            r"github_pat_[A-Za-z0-9_]{22,255}",
            r"glpat-[\w-]{20,64}",  # GitLab
            r"sk-(?=[\w-]{0,40}\d)[\w-]{20,255}",  # OpenAI, Anthropic
            r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
            r"xox[abeoprs]-[A-Za-z0-9-]{10,255}",  # Slack
            r"xapp-[A-Za-z0-9-]{10,255}",
            r"AIza[\w-]{35}",  # Google
            r"[prs]k_(?:live|test)_[A-Za-z0-9]{16,255}",  # Stripe
            r"hf_[A-Za-z0-9]{30,64}",  # Hugging Face
            r"npm_[A-Za-z0-9]{36}",
            r"\d{8,10}:[\w-]{35}(?![\w-])",  # Telegram
            r"mfa\.[\w-]{80,100}",  # Discord: a person's, and a bot's
            r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,45}",
            r"eyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{8,2000}",  # JWT
            r"https://(?:\w{1,20}\.)?discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{15,20}/[\w-]{20,100}",
            r"https://hooks\.slack\.com/(?:services|workflows)/[\w/-]{20,200}",
        )
    )
    + ")",
    re.ASCII,
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:(?!-----).){0,20000}"
    r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?",
    re.DOTALL,
)
_IN_A_LINK = re.compile(r"(?<=://)[^\s/:@<>]{1,64}:[^\s/@<>]{1,255}(?=@)")
_IS = r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
_NAMED = re.compile(
    rf"(?P<name>(?:secret|token|api[_ -]?key|access[_ -]?key){_IS})"
    r"(?P<value>[A-Za-z0-9_/+.~!$%^&*=-]{16,255})",
    re.IGNORECASE,
)
_PASSWORD = re.compile(
    rf"(?P<name>(?:passwor[dt]|passwd|passphrase|\bpwd|kennwort){_IS})(?P<value>[^\s\"'<>]{{6,255}})",
    re.IGNORECASE,
)
_AWS_SECRET = re.compile(
    r"(?<![A-Za-z0-9/+=_.:-])(?P<name>)(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=_-]|\.\w)"
)
_UPPER, _LOWER, _DIGIT = re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]")
_LETTER = re.compile(r"[^\W\d_]")


def hide_secrets(text: str, placeholder: str) -> tuple[str, int]:
    """The text with a placeholder for each secret, and how many there were."""
    hidden = 0
    for pattern in (_PRIVATE_KEY, _IN_A_LINK, _KNOWN):
        text, count = pattern.subn(placeholder, text)
        hidden += count

    def hide(match: re.Match[str]) -> str:
        nonlocal hidden
        if not all(kind.search(match["value"]) for kind in (_UPPER, _LOWER, _DIGIT)):
            return match[0]  # words, a hash: not made by chance from all characters
        hidden += 1
        return match["name"] + placeholder

    def hide_password(match: re.Match[str]) -> str:
        nonlocal hidden
        if not (_LETTER.search(match["value"]) and _DIGIT.search(match["value"])):
            return match[0]  # "password: please", "password: 123456"
        hidden += 1
        return match["name"] + placeholder

    if ":" in text or "=" in text:
        text = _NAMED.sub(hide, _PASSWORD.sub(hide_password, text))
    return _AWS_SECRET.sub(hide, text), hidden

"""Chat that was made up, the same for the same seed: clean, and with planted duplicates and personal data.

The words are real ones of six languages, put together by chance; what a chat has beside words (times, prices,
ids, links, code) is there too, for that is what looks like personal data. Nobody's data is in it: numbers
are drawn, and secrets are put together from pieces, so that no scanner takes this file for a leak.
"""

import random
import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from stdnum import iban, luhn

WORDS = {
    "en": "i you we they that this what not just really think know want like make go get see come take play"
    " game server music movie weekend friend cat dog pizza coffee code bug update team always never"
    " maybe because about with without after before again still right wrong funny weird great awful new"
    " old first last little big room house street city question answer idea story problem plan wish hope"
    " try watch listen read write",
    "de": "ich du wir ihr das nicht noch mal schon wieder glaube weiß möchte mag mache gehe sehe komme nehme"
    " spiele spiel server musik film wochenende freund katze hund pizza kaffee fehler neu alt immer nie"
    " vielleicht weil über mit ohne nach vor richtig falsch lustig komisch großartig schlecht klein groß"
    " zimmer haus straße stadt frage antwort idee geschichte problem plan wunsch hoffe versuche schaue"
    " höre lese schreibe morgens",
    "fr": "je tu nous vous ça pas encore déjà crois sais veux aime fais vais vois viens prends joue jeu"
    " serveur musique film ami chat chien pizza café erreur nouveau vieux toujours jamais peut-être"
    " parce que sur avec sans après avant vrai faux drôle bizarre super nul petit grand chambre maison"
    " rue ville question réponse idée histoire problème espère essaie regarde écoute lis écris d'accord"
    " bien mal très trop",
    "es": "yo tú nosotros eso no todavía ya creo sé quiero gusta hago voy veo vengo tomo juego servidor"
    " música película amigo gato perro pizza café error nuevo viejo siempre nunca quizás porque sobre"
    " con sin después antes verdad mentira gracioso raro genial fatal pequeño grande habitación casa"
    " calle ciudad pregunta respuesta idea historia problema espero intento miro escucho leo escribo"
    " bien mal muy también",
    "ru": "я ты мы вы это не ещё уже думаю знаю хочу люблю делаю иду вижу беру играю игра сервер музыка фильм"
    " друг кот собака пицца кофе ошибка новый старый всегда никогда может потому что про без после до"
    " правда смешно странно классно ужасно маленький большой комната улица город вопрос ответ идея"
    " история проблема надеюсь пробую смотрю слушаю читаю пишу хорошо плохо очень тоже",
    "zh": "我 你 我们 觉得 知道 想要 喜欢 游戏 服务器 音乐 电影 朋友 猫 狗 咖啡 问题 回答 故事"
    " 计划 希望 看到 听说 写 读 新的 旧的 总是 从来 可能 因为 关于 没有 之后 之前 真的 好玩"
    " 奇怪 厉害 糟糕 小 大 房间 街道 城市 今天 一起",
}
_WORDS = {language: words.split() for language, words in WORDS.items()}
_ENDS = ("", "", "", "", ".", "!", "?", "...", " 😂", " 🎉🎉", " :)", " lol")
_SHORT = ("lol", "ok", "ja", "да", "vale", "好的", "👍", "good morning all", "brb", "😂😂", "???", "gg")


def chat(seed: int, count: int, *, languages: str = "en de fr es ru zh") -> list[str]:
    """Clean messages: a tenth is short and comes again and again, a sixth has numbers; the rest are words."""
    rng = random.Random(seed)
    tongues = languages.split()
    return [_message(rng, rng.choice(tongues)) for _ in range(count)]


def distinct(seed: int, count: int, *, words: int = 8, languages: str = "en de fr es ru") -> list[str]:
    """Messages of at least so many words, none of which is like another."""
    rng = random.Random(seed)
    tongues = languages.split()
    return [_sentence(rng, rng.choice(tongues), words + int(rng.expovariate(0.15))) for _ in range(count)]


def _message(rng: random.Random, language: str) -> str:
    chance = rng.random()
    if chance < 0.1:
        return rng.choice(_SHORT)
    sentence = _sentence(rng, language, 1 + int(rng.expovariate(0.14)))
    if chance < 0.27:
        return f"{sentence} {rng.choice(_ASIDES)(rng)}{rng.choice(_ENDS)}"
    return sentence + rng.choice(_ENDS)


def _sentence(rng: random.Random, language: str, words: int) -> str:
    """A third are compounds: they make the vocabulary as large as a chat's."""
    simple = _WORDS[language]
    drawn = rng.choices(simple, k=words)
    for at in range(rng.randrange(3), words, 3):
        drawn[at] += rng.choice(simple)
    return ("" if language == "zh" else " ").join(drawn)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _characters(rng: random.Random, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(alphabet, k=count))


_ASIDES: tuple[Callable[[random.Random], str], ...] = (
    lambda r: f"{r.randint(1, 12)}:{r.randint(0, 59):02} pm",
    lambda r: f"{r.randint(0, 23)}:{r.randint(0, 59):02}:{r.randint(0, 59):02}",
    lambda r: f"{r.randint(1, 28):02}.{r.randint(1, 12):02}.20{r.randint(10, 29)} 18:30",
    lambda r: f"20{r.randint(10, 29)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}",
    lambda r: f"{r.randint(1, 12)}/{r.randint(1, 28)}/{r.randint(1990, 2029)}",
    lambda r: f"${r.randint(1, 999)},{_digits(r, 3)}.99",
    lambda r: f"{r.randint(1, 99)}.{_digits(r, 3)}.000,50 €",
    lambda r: f"{r.randint(1, 999)} 000 000",
    lambda r: f"<@{r.randint(10**17, 10**18)}>",
    lambda r: f"<:pog:{r.randint(10**17, 10**18)}> <a:dance:{r.randint(10**18, 10**19)}>",
    lambda r: f"https://discord.com/channels/{r.randint(10**17, 10**18)}/{r.randint(10**17, 10**18)}",
    lambda r: f"https://www.youtube.com/watch?v={_characters(r, 11)}",
    lambda r: f"https://example.com/20{r.randint(10, 29)}/06/{r.randint(1, 28)}/a-{_digits(r, 7)}-story.html",
    lambda r: f"id {r.randint(10**16, 10**20)}",
    lambda r: f"v{r.randint(0, 20)}.{r.randint(0, 40)}.{r.randint(0, 9)}",
    lambda r: f"version {r.randint(1, 9)}.{r.randint(0, 9)}.{r.randint(0, 9)}.{r.randint(0, 9)}",
    lambda r: f"{r.randint(0, 21)}-{r.randint(0, 21)} {r.randint(0, 21)}-{r.randint(0, 21)}",
    lambda r: f"{r.randint(1000, 2000)}-{r.randint(2000, 2030)} {r.randint(1000, 2000)}",
    lambda r: f"{r.randint(800, 3840)}x{r.randint(600, 2160)}",
    lambda r: f"score {r.randint(10**5, 10**8)}",
    lambda r: " ".join(str(r.randint(1, 99)) for _ in range(6)),
    lambda r: f"at {r.randint(1_500_000_000, 1_799_999_999)}",
    lambda r: f"commit {_characters(r, 40, 'abcdef0123456789')}",
    lambda r: f"`for i in range({r.randint(1, 10**6)}): print(i)`",
    lambda r: f"std::vector<int> v{{{r.randint(1, 9)}}}; a::b",
    lambda r: f"192.168.{r.randint(0, 255)}.{r.randint(1, 254)}:8080",
    lambda r: f"logo@{r.randint(2, 4)}x.png react@18.{r.randint(0, 9)}.0",
    lambda r: f":smile: :{r.randint(1, 100)}: x{r.randint(2, 99)}",
)


def again(seed: int, texts: list[str]) -> list[str]:
    """The same messages as people write them anew: other case, spaces, marks, character forms."""
    rng = random.Random(seed)
    ways: tuple[Callable[[str], str], ...] = (
        str,
        str.upper,
        str.title,
        lambda text: f"  {text}!!!",
        lambda text: text.replace(" ", "   "),
        lambda text: text.replace(" ", ", ", 2) + "\n",
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: f"**{text}**…",
    )
    return [rng.choice(ways)(text) for text in texts]


def edited(seed: int, texts: list[str], share: float = 0.1) -> list[str]:
    """The same messages with so many of their words changed, added, left out or mistyped; at least one."""
    rng = random.Random(seed)
    return [" ".join(_edit(rng, text.split(), share)) for text in texts]


def _edit(rng: random.Random, words: list[str], share: float) -> list[str]:
    for _ in range(max(1, int(len(words) * share))):
        at = rng.randrange(len(words))
        match rng.choice(("change", "add", "leave out", "mistype")):
            case "change":
                words[at] = rng.choice(_WORDS["en"])
            case "add":
                words.insert(at, rng.choice(_WORDS["es"]))
            case "leave out":
                del words[at]
            case _:
                letter = rng.randrange(len(words[at]))
                words[at] = words[at][:letter] + rng.choice("etaoin") + words[at][letter + 1 :]
    return words


@dataclass(frozen=True)
class Planted:
    """A message with one piece of personal data in it."""

    kind: str
    value: str
    text: str


def personal(seed: int, count: int) -> list[Planted]:
    """So many messages of each kind of personal data."""
    rng = random.Random(seed)
    planted: list[Planted] = []
    for kind, makers in _PERSONAL.items():
        for _ in range(count):
            value = rng.choice(makers)(rng)
            before, after = (_sentence(rng, "en", rng.randint(0, 6)) for _ in range(2))
            end = rng.choice(("", "", ".", "!", ",", ")"))
            planted.append(Planted(kind, value, f"{before} {value}{end} {after}".strip()))
    return planted


def _with_check_digit(number: str) -> str:
    return number + luhn.calc_check_digit(number)


def _in_fours(number: str, between: str = " ") -> str:
    return between.join(number[at : at + 4] for at in range(0, len(number), 4))


def _iban(country: str, account: str) -> str:
    return country + iban.calc_check_digits(f"{country}00{account}") + account


_AREAS = ("212", "415", "646", "312", "202", "303")
_ALNUM = string.ascii_letters + string.digits
_PERSONAL: dict[str, tuple[Callable[[random.Random], str], ...]] = {
    "email": (
        lambda r: f"{r.choice(_WORDS['en'])}.{_characters(r, 5)}@example.com",
        lambda r: f"{_characters(r, 6)}+news@mail.example.co.uk",
        lambda r: f"{r.choice(_WORDS['de'])}@bücher.example",
        lambda r: f"{_characters(r, 4)}_{_digits(r, 2)}@xn--bcher-kva.example",
        lambda r: f"o'{r.choice(_WORDS['en'])}@{_characters(r, 3)}-host.org",
    ),
    "phone": (
        lambda r: f"+49 17{r.randint(0, 9)} {_digits(r, 7)}",
        lambda r: f"017{r.randint(0, 9)}/{_digits(r, 7)}",
        lambda r: f"0049 17{r.randint(0, 9)} {_digits(r, 7)}",
        lambda r: f"({r.choice(_AREAS)}) {r.randint(200, 999)}-{_digits(r, 4)}",
        lambda r: f"{r.choice(_AREAS)}-{r.randint(200, 999)}-{_digits(r, 4)}",
        lambda r: f"{r.choice(_AREAS)}.{r.randint(200, 999)}.{_digits(r, 4)}",
        lambda r: f"+1{r.choice(_AREAS)}{r.randint(200, 999)}{_digits(r, 4)}",
        lambda r: f"+44 20 7946 {_digits(r, 4)}",
        lambda r: f"07{r.randint(700, 799)} {_digits(r, 6)}",
        lambda r: "06 " + " ".join(_digits(r, 2) for _ in range(4)),
        lambda r: "06." + ".".join(_digits(r, 2) for _ in range(4)),
        lambda r: f"6{r.randint(10, 69)} {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)}",
        lambda r: f"8 (91{r.randint(0, 9)}) {_digits(r, 3)}-{_digits(r, 2)}-{_digits(r, 2)}",
        lambda r: f"+7 91{r.randint(0, 9)} {_digits(r, 3)}-{_digits(r, 2)}-{_digits(r, 2)}",
    ),
    "card": (
        lambda r: _in_fours(_with_check_digit("4" + _digits(r, 14))),
        lambda r: _in_fours(_with_check_digit("5" + str(r.randint(1, 5)) + _digits(r, 13)), "-"),
        lambda r: _with_check_digit("4" + _digits(r, 14)),
        lambda r: _with_check_digit("37" + _digits(r, 12)),
        lambda r: _in_fours(_with_check_digit("6011" + _digits(r, 11))),
    ),
    "iban": (
        lambda r: _in_fours(_iban("DE", _digits(r, 18))),
        lambda r: _iban("DE", _digits(r, 18)),
        lambda r: _in_fours(_iban("GB", "NWBK" + _digits(r, 14))),
        lambda r: _iban("NL", "ABNA" + _digits(r, 10)),
        lambda r: _in_fours(_iban("FR", _digits(r, 23))),
        lambda r: _in_fours(_iban("ES", _digits(r, 20))),
    ),
    "token": (
        lambda r: "M" + _characters(r, 25) + "." + _characters(r, 6) + "." + _characters(r, 38),
        lambda r: "ghp" + "_" + _characters(r, 36),
        lambda r: "github" + "_pat_" + _characters(r, 22) + "_" + _characters(r, 59),
        lambda r: "sk" + "-proj-" + _characters(r, 48),
        lambda r: "AK" + "IA" + _characters(r, 16, string.ascii_uppercase + "234567"),
        lambda r: _characters(r, 38, _ALNUM + "/+") + "aB",
        lambda r: "xo" + "xb-" + _digits(r, 12) + "-" + _characters(r, 24),
        lambda r: "AI" + "za" + _characters(r, 35),
        lambda r: "sk" + "_live_" + _characters(r, 24),
        lambda r: "eyJ" + _characters(r, 20) + ".ey" + "J" + _characters(r, 40) + "." + _characters(r, 43),
        lambda r: (
            "-----BEGIN RSA " + f"PRIVATE KEY-----\n{_characters(r, 64)}\n-----END RSA PRIVATE KEY-----"
        ),
        lambda r: f"https://discord.com/api/webhooks/{_digits(r, 18)}/" + _characters(r, 68),
    ),
    "ip": (
        lambda r: f"{r.randint(11, 99)}.{r.randint(1, 250)}.{r.randint(0, 255)}.{r.randint(1, 254)}",
        lambda r: f"2a01:4f8:{_characters(r, 3, 'abcdef123')}::{r.randint(1, 9)}",
    ),
}

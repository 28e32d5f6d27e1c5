"""Tells replies that hang on a situation: "eat together?" → "there is no class on Thursday".

A model that learns such a reply states weekdays, hours and rooms that nobody spoke of. So a reply is
situational if it names a weekday, a date, a time of the clock or where somebody is, and nothing before it
speaks of any time, or of any place. Where that is not clear it is not: "see you tomorrow", "today", "at
school" are what people always say. It knows English, German, French, Spanish and Russian.
"""

import re
from collections.abc import Iterable, Sequence

_SEPARATORS = b"!\"(),.:;?[]{}*_~|<>/'-"
_SPACES = bytes.maketrans(_SEPARATORS, b" " * len(_SEPARATORS))
_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))


def is_situational(reply: str, context: Sequence[str]) -> bool:
    """Whether the reply names a time or a place, and nothing in the context speaks of one.

    Without a context it is no reply, and hangs on nothing.
    """
    said, has_digits = _words(reply)
    if not context or (not has_digits and _HINTS.isdisjoint(said)):
        return False
    folded = reply.casefold()
    if _names_time(folded, said, has_digits):
        return not any(_speaks_of_time(text) for text in context)
    if _NAMED.isdisjoint(said):
        return False
    return bool(_SPOT.search(folded)) and not any(_speaks_of_place(text) for text in context)


def _names_time(folded: str, said: list[bytes], has_digits: bool) -> bool:
    if not _WEEKDAYS.isdisjoint(said):
        return True
    if not _TWELVES.isdisjoint(said) and _TWELVE.search(folded):
        return True
    if not has_digits:
        return False
    return bool(_HOUR.search(folded) or (not _MONTHS.isdisjoint(said) and _DAY.search(folded)))


def _words(text: str) -> tuple[list[bytes], bool]:
    """The words as UTF-8, which is searched faster than text, and whether there are digits."""
    folded = text.casefold().encode("utf-8", "surrogatepass")
    return folded.translate(_SPACES).split(), bool(folded.translate(None, _NO_DIGITS))


def _speaks_of_time(text: str) -> bool:
    said, has_digits = _words(text)
    return has_digits or not _TIMES.isdisjoint(said)


def _speaks_of_place(text: str) -> bool:
    said, _ = _words(text)
    return not _PLACES.isdisjoint(said)


def _set(*tables: str) -> frozenset[bytes]:
    return frozenset(word.encode() for table in tables for word in table.split())


def _one_of(words: Iterable[bytes]) -> str:
    return "(?:" + "|".join(sorted(word.decode() for word in words)) + ")"


# Whole words only: "sun", "mon" and "mar" are others too, and so are "среда" and "domingo" (a name; rare).
_WEEKDAYS = _set(
    "monday tuesday wednesday thursday friday saturday sunday",
    "mondays tuesdays wednesdays thursdays fridays saturdays sundays",
    "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag",
    "montags dienstags mittwochs donnerstags freitags samstags sonntags",
    "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "lunes martes miércoles miercoles jueves viernes sábado sabado domingo",
    "понедельник понедельника вторник вторника среду четверг четверга пятница пятницу пятницы",
    "суббота субботу субботы воскресенье воскресенья",
)
_MONTHS = _set(
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
)
_TWELVES = _set("noon midnight mitternacht midi minuit mediodía medianoche полдень полночь полудня полуночи")
_OF_TIME = _set(
    "when time date day days week weekend month year today tonight tomorrow yesterday morning afternoon",
    "evening night hour hours minutes clock schedule until till late early later soon free busy plan plans",
    "wann zeit uhr tag tage woche wochenende monat jahr heute morgen gestern abend nachmittag nacht",
    "stunde stunden termin bis spät früh später bald frei",
    "quand heure heures temps jour jours semaine mois année aujourd aujourd’hui demain hier matin soir nuit",
    "tard tôt bientôt libre",
    "cuándo cuando ¿cuándo ¿cuando hora horas tiempo fecha día días semana mes año hoy mañana ayer",
    "tarde noche temprano pronto",
    "когда время времени день дни дней неделя неделю месяц год сегодня завтра вчера утро утром вечер",
    "вечером ночь ночью час часа часов поздно рано скоро",
)
_ROOMS = _set(
    "room raum zimmer salle aula sala building gebäude platform gleis",
    "кабинет кабинете аудитория аудитории",
)
_SPOTS = _set(
    "school work library gym office airport station church hospital canteen cafeteria campus mall pub",
    "cinema supermarket beach lab university",
    "schule arbeit bibliothek büro flughafen bahnhof kirche krankenhaus mensa kino supermarkt strand uni",
    "école bureau bibliothèque gare aéroport église hôpital cantine cinéma supermarché plage fac",
    "escuela oficina biblioteca gimnasio aeropuerto estación iglesia cine supermercado playa universidad",
    "школе работе библиотеке офисе аэропорту вокзале церкви больнице столовой кино магазине пляже",
)
_OF_PLACE = _set(
    "where place here there home house outside city town street address go going come coming meet class",
    "wo wohin woher ort hier dort da zuhause daheim haus draußen stadt straße adresse gehen gehst kommst",
    "treffen",
    "où lieu ici là maison dehors ville rue adresse chez vas viens venir aller",
    "dónde donde ¿dónde ¿donde adónde ¿adónde lugar aquí ahí allí casa fuera ciudad calle vas vienes",
    "ir venir",
    "где куда откуда место здесь тут там дома дом домой город улица адрес идёшь идешь едешь пойдём пойдем",
)
_TIMES = _WEEKDAYS | _MONTHS | _TWELVES | _OF_TIME
_NAMED = _SPOTS | _ROOMS
_PLACES = _NAMED | _OF_PLACE
_HINTS = _WEEKDAYS | _TWELVES | _SPOTS  # whatever else names a time or a place has digits

_MONTH = _one_of(_MONTHS)
_HOUR = re.compile(
    r"[0-9](?<![\w.:/][0-9])[0-9]?(?:"
    r":[0-5][0-9](?![0-9:])"  # 17:30
    r"|\s?(?:pm|p\.m|a\.m|am(?!\s\w*tag))\b"  # 5 pm; not "2 am Tag"
    r"|(?:[.:][0-9]{2})?\s?uhr\b|\s?h\s?[0-5][0-9]\b|(?:(?<=à [0-9])|(?<=à [0-9]{2}))\s?h\b"
    r"|(?:(?<=a las [0-9])|(?<=a las [0-9]{2}))\b|\s(?:утра|вечера|ночи)\b"
    r"|[0-9]{2}-[0-9]{2}-[0-9]{2}\b|/[0-9]{1,2}/[0-9]{2,4}\b"  # 2024-06-12, 6/12/24
    r"|\.[0-9]{1,2}\.[0-9]{4}\b|(?:(?<=am [0-9])|(?<=am [0-9]{2}))\.[0-9]{1,2}\."
    r")"
)
_DAY = re.compile(
    rf"\b(?:[0-9]{{1,2}}(?:st|nd|rd|th|er|\.)?\s(?:of\s|de\s)?{_MONTH}\b"
    rf"|{_MONTH}\s[0-9]{{1,2}}(?:st|nd|rd|th)?(?![0-9]))"
)
_TWELVE = re.compile(rf"\b(?:at|until|till|before|um|bis|à|al?|до|в)\s{_one_of(_TWELVES)}\b")
_AM = (
    "i['’]?m|i am|we['’]?re|we are|be|meet|meet (?:me|us|you)|wait|waiting|bin|sind|treffen|warte"
    "|suis|est|serai|estoy|estamos|estaré|я|мы|буду|жду|встретимся"
)
_SPOT = re.compile(
    rf"\b{_one_of(_ROOMS)}\s(?:nr\.?\s|no\.?\s|№\s?)?[a-z]?[0-9]{{1,4}}\b"
    rf"|\b(?:{_AM})\s(?:\w{{1,12}}\s)?(?:at|in|an|am|auf|beim|bei|im|à|au|dans|en|al|в|на)\s"
    rf"(?:the\s|my\s|our\s|der\s|dem\s|la\s|le\s|l['’]|el\s|mi\s)?{_one_of(_SPOTS)}\b"
)

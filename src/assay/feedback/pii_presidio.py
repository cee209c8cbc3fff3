"""Presidio: its recognisers as a finder of personal data. Takes a spaCy model's name or none, yields a finder.

Needs the extra `presidio`. Works offline: no model is ever fetched, and Presidio's recogniser of e-mail addresses is
left out, which asks the network for a list of domain endings; our own finds those. Patterns, checksums and phone
numbers need no model. Its findings below `LEAST_SCORE` are left out, and so is what alone is nobody's: dates, web
addresses, UUIDs, organisations.

Catches, without a model: cards, IBANs, IP and MAC addresses, phone numbers without separators, crypto wallets, tax and
social security numbers of the US and health service numbers of the UK, medical licences. With one, what its model takes
for names of people, places, nationalities, faiths and parties. Does not catch: what `assay.feedback.pii` does not catch
either and no recogniser knows. Takes for personal data what is none: numbers of ten digits as phone numbers, and
whatever a small model takes for a name.
"""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from assay.feedback.pii import Found, Kind
from assay.records.errors import ConfigError, explain

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine
    from spacy.language import Language

LEAST_SCORE = 0.4
"""Presidio's own score of a pattern that stands alone; what only a word beside it would make likely scores less."""
LANGUAGE = "en"

KINDS: Mapping[str, Kind] = {
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
    "CRYPTO": "account",
    "US_BANK_NUMBER": "account",
    "PERSON": "person",
    "LOCATION": "place",
    "NRP": "belonging",
    "EMAIL": "email",
    "ID": "id",
    "US_SSN": "id",
    "US_ITIN": "id",
    "US_PASSPORT": "id",
    "US_DRIVER_LICENSE": "id",
    "UK_NHS": "id",
    "MEDICAL_LICENSE": "id",
}
"""Kinds by Presidio's names; any other that is not in `NOBODYS` is `other`."""
NOBODYS = frozenset({"DATE_TIME", "URL", "UUID", "ORGANIZATION"})
NEEDS_NETWORK = "EmailRecognizer"


def presidio_finder(model: str | None = None) -> Callable[[str], Sequence[Found]]:
    """A finder over Presidio; `model` is a spaCy model that is installed, None: patterns alone, in English.

    Raises ConfigError where the extra or the model is not installed.
    """
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
    except ImportError as error:
        do = "install it with `pip install 'assay[presidio]'`, or leave the option out"
        raise ConfigError(explain(expected="Presidio to look for personal data", got=str(error), do=do)) from error
    words = spacy.blank(LANGUAGE) if model is None else _loaded(model)
    engine = SpacyNlpEngine()
    engine.nlp = {words.lang: words}  # what is loaded here is never fetched there
    registry = RecognizerRegistry(supported_languages=[words.lang])
    registry.load_predefined_recognizers(languages=[words.lang], nlp_engine=engine)
    if any(one.name == NEEDS_NETWORK for one in registry.recognizers):
        registry.remove_recognizer(NEEDS_NETWORK)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[words.lang])
    return finder_over(analyzer, language=words.lang)


def finder_over(analyzer: "AnalyzerEngine", *, language: str = LANGUAGE) -> Callable[[str], Sequence[Found]]:
    """What an analyzer finds, in our terms. One text is looked at at a time: spaCy's vocabulary is shared."""
    entities = sorted(set(analyzer.get_supported_entities(language)) - NOBODYS)
    lock = Lock()

    def find(text: str, /) -> list[Found]:
        with lock:
            results = analyzer.analyze(text=text, language=language, entities=entities, score_threshold=LEAST_SCORE)
        return [
            Found(KINDS.get(one.entity_type, "other"), one.start, one.end, text[one.start : one.end]) for one in results
        ]

    return find


def _loaded(model: str) -> "Language":
    import spacy

    if not spacy.util.is_package(model):
        do = f"install it, as with `python -m spacy download {model}`, or name one that is installed"
        raise ConfigError(explain(expected="an installed spaCy model", got=repr(model), do=do))
    return spacy.load(model)

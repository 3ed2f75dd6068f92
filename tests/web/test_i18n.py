import re
from pathlib import Path

import pytest
from babel.messages.extract import extract, extract_from_dir
from babel.messages.pofile import read_po

import shared
import web_service
from web_service.errors import Invalid
from web_service.i18n import FOLDER, NAMES, Languages

ROOT = Path(web_service.__file__).parent
GLOBS = Path(shared.__file__).parent / "globs.py"
PO = FOLDER / "zh_CN" / "LC_MESSAGES" / "messages.po"


@pytest.fixture(scope="module")
def languages():
    return Languages()


def in_source():
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    options = {"templates/**.html": {"silent": "false"}}
    found = {message[2] for message in extract_from_dir(str(ROOT), method_map=methods, options_map=options)}
    # What a glob lacks is said by the shared room, and shown here.
    with GLOBS.open("rb") as file:
        return found | {message[1] for message in extract("python", file, keywords={"InvalidGlob": None})}


def catalog():
    with PO.open("rb") as file:
        return read_po(file, locale="zh_CN")


def test_every_text_is_translated_and_no_translation_is_left_over():
    texts = in_source()
    assert len(texts) > 150
    assert {message.id for message in catalog() if message.id} == texts


def test_no_translation_is_empty_doubtful_or_obsolete():
    messages = catalog()
    assert not messages.obsolete
    assert [message.id for message in messages if message.id and (message.fuzzy or not all(_strings(message)))] == []


def test_translations_name_the_same_values():
    for message in catalog():
        if message.id:
            wanted = message.id if isinstance(message.id, str) else message.id[1]
            for text in _strings(message):
                assert _values(text) == _values(wanted), message.id


def _strings(message):
    return [message.string] if isinstance(message.string, str) else list(message.string)


def _values(text):
    return set(re.findall(r"%\((\w+)\)[sd]", text))


@pytest.mark.parametrize(
    ("wishes", "accept", "code"),
    [
        ([], "", "en"),
        ([], "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ([], "zh-Hans", "zh-CN"),
        ([], "en-GB,zh;q=0.5", "en"),
        ([], "de, fr;q=0.9, zh;q=0.1", "zh-CN"),
        ([], "zh;q=0, en", "en"),
        ([], "en;q=0.2, zh;q=0.7", "zh-CN"),
        ([], "*;q=x,,;", "en"),
        (["zh-CN"], "en", "zh-CN"),
        (["", "en"], "zh", "en"),
        (["klingon"], "zh", "zh-CN"),
        (["zh_CN"], "", "zh-CN"),
    ],
)
def test_the_language_is_the_first_wish_that_we_have(languages, wishes, accept, code):
    assert languages.choose(*wishes, accept=accept).code == code


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (245, "245 B"),
        (3000, "3 KB"),
        (1_048_576, "1.0 MB"),
        (1_370_945_784, "1.4 GB"),
        (999_949, "1.0 MB"),
        (999_400, "999 KB"),
        (2 * 10**12, "2.0 TB"),
        (5 * 10**21, "5000.0 EB"),
    ],
)
def test_sizes_are_decimal(languages, count, text):
    assert languages["en"].size(count) == text


def test_times_are_told_in_both_languages(languages):
    english, chinese = languages["en"], languages["zh-CN"]
    now = english.clock()
    assert english.ago(now - 3 * 86400) == "3 days ago"
    assert chinese.ago(now - 3 * 86400) == "3天前"
    assert re.fullmatch(r"(1969-12-31|1970-01-01) \d\d:\d\d:00 [+-]\d{4}", english.moment(0))


@pytest.mark.parametrize(
    ("days", "english", "chinese"),
    [
        (334, "11 months ago", "11个月前"),
        (320, "11 months ago", "11个月前"),
        (366, "1 year ago", "1年前"),
        (27, "4 weeks ago", "4周前"),
        (6, "6 days ago", "6天前"),
        (23 / 24, "23 hours ago", "23小时前"),
        (-90, "in 3 months", "3个月后"),
    ],
)
def test_a_time_is_not_told_in_a_unit_that_is_not_full(languages, days, english, chinese):
    now = languages["en"].clock()
    assert languages["en"].ago(now - days * 86400) == english
    assert languages["zh-CN"].ago(now - days * 86400) == chinese


def test_plurals_and_problems_are_translated(languages):
    problem = Invalid("A password has at least %(least)d characters.", least=8)
    assert languages["zh-CN"].problem(problem) == "密码至少需要 8 个字符。"
    assert languages["en"].problem(problem) == "A password has at least 8 characters."


def test_every_language_names_itself(languages):
    assert {languages[code].locale.language for code in NAMES} == {"en", "zh"}

from web_service.errors import Invalid, Problem, TooManyFailures

GERMAN = {"no %(thing)s: %(why)s": "kein %(thing)s: %(why)s", "too old": "zu alt", "100%": "hundert %"}


def test_a_problem_speaks_every_language_and_so_does_what_it_holds():
    problem = Invalid("no %(thing)s: %(why)s", thing="x%sy", why=Problem("too old"))
    assert str(problem) == "no x%sy: too old"
    assert problem.text(lambda text: GERMAN[text]) == "kein x%sy: zu alt"


def test_a_text_without_values_may_have_percent_signs():
    assert Problem("100%").text(lambda text: GERMAN[text]) == "hundert %"


def test_how_long_to_wait_is_said():
    assert "wait 7 seconds" in str(TooManyFailures(7))

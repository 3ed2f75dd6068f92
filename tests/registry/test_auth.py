"""Who may do what: the claims of a token, what it permits, and the challenge that answers what it does not."""

import json
import time

import pytest

from registry_service.auth import UPLOAD_GRACE_SECONDS, Begun, Identity, Need, requirement
from tests.kit.certificates import SERVICE, claims, private_key, repository_access, sign, write_bundle
from tests.registry.token_checks import CHALLENGE, EC_ROOT, ROOT, accepted, invalid, refusal, token_auth

CATALOG = {"type": "registry", "name": "catalog", "actions": ["*"]}


@pytest.fixture
def auth(tmp_path):
    return token_auth(tmp_path)


@pytest.mark.parametrize(
    ("need", "repository", "source", "scopes"),
    [
        (Need.NOTHING, "", "", []),
        (Need.LOGIN, "", "", []),
        (Need.PULL, "a", "", ["repository:a:pull"]),
        (Need.PUSH, "a", "", ["repository:a:pull,push"]),
        (Need.PUSH, "a", "b/c", ["repository:a:pull,push", "repository:b/c:pull"]),
        (Need.DELETE, "a", "", ["repository:a:delete"]),
        (Need.CATALOG, "", "", ["registry:catalog:*"]),
    ],
)
def test_a_request_needs_the_scopes_of_its_route(need, repository, source, scopes):
    assert [str(scope) for scope in requirement(need, repository, source)] == scopes


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer   ", "bearer", "Basic YTpi", "Token x", "x.y.z", "Bearerx"]
)
def test_without_a_bearer_token_the_challenge_blames_nothing(auth, header):
    error = refusal(auth, header)
    assert error.headers == {"WWW-Authenticate": CHALLENGE}
    assert json.loads(error.body()) == {
        "errors": [{"code": "UNAUTHORIZED", "message": "authentication required", "detail": None}]
    }


def test_the_challenge_names_every_scope_in_one_string_and_the_detail_every_action(auth):
    error = refusal(auth, None, requirement(Need.PUSH, "team/app", "base/os"))
    scope = "repository:team/app:pull,push repository:base/os:pull"
    assert error.headers == {"WWW-Authenticate": f'{CHALLENGE},scope="{scope}"'}
    assert error.problems[0].detail == [
        {"Type": "repository", "Class": "", "Name": "team/app", "Action": "pull"},
        {"Type": "repository", "Class": "", "Name": "team/app", "Action": "push"},
        {"Type": "repository", "Class": "", "Name": "base/os", "Action": "pull"},
    ]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_not_case_sensitive_and_blanks_around_a_token_do_not_count(auth, scheme):
    assert auth.authorize(f"{scheme}  {sign(claims(), ROOT.key)} ", ()).subject == "alice"


@pytest.mark.parametrize("need", Need)
@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Bearer", "Basic YTpi", "Bearer x.y.z"),
        *(
            f"{scheme} {sign(claims(*access, **changes), ROOT.key)}"
            for scheme, access, changes in (
                ("Bearer", (), {}),
                ("bearer ", (repository_access("a", "pull"),), {}),
                ("Bearer", (repository_access("a", "*"), CATALOG), {}),
                ("Bearer", (repository_access("ab", "pull", "push", "delete"), {**CATALOG, "actions": ["list"]}), {}),
                ("Bearer", (repository_access("a", "pull"),), {"exp": 1}),
                ("Bearer", (repository_access("a", "pull"),), {"aud": "other"}),
                ("Basic", (repository_access("a", "pull"),), {}),
            )
        ),
    ],
)
def test_what_is_permitted_without_a_word_is_what_is_authorized(auth, need, header):
    needed = requirement(need, "a")
    permitted = auth.permits(header, needed)
    if permitted is None:
        refusal(auth, header, needed)
    else:
        assert auth.authorize(header, needed).subject == permitted.subject == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"access": ...},
        {"access": None},
        {"aud": [SERVICE]},
        {"aud": ["other", SERVICE]},
        {"nbf": ...},
        {"iat": ..., "jti": ...},
        {"iat": 1 << 40},
        {"more": {"than": "needed"}},
    ],
    ids=str,
)
def test_good_claims(auth, changes):
    assert accepted(auth, sign(claims(**changes), ROOT.key)).subject == "alice"


def test_the_identity_is_the_subject_the_address_it_acts_for_and_what_it_may_pull(auth):
    access = [repository_access("a", "pull"), repository_access("b", "*"), repository_access("c", "push"), CATALOG]
    token = sign(claims(*access, sub="bob", client_addr="10.0.0.1"), ROOT.key)
    identity = accepted(auth, token)
    assert identity == Identity("bob", "10.0.0.1", frozenset("ab"), sees_all=True)
    assert [name for name in ("a", "b", "c", "catalog") if identity.may_pull(name)] == ["a", "b"]
    assert accepted(auth, sign(claims(sub=...), ROOT.key)) == Identity("", "", frozenset(), sees_all=False)


def test_where_there_are_no_tokens_everybody_may_pull_everything():
    assert Identity().may_pull("a")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "other"}, "issued by 'other', not by auth.token.issuer"),
        ({"iss": "Test"}, "issued by 'Test'"),
        ({"iss": ...}, "issued by ''"),
        ({"aud": "other"}, "issued for 'other', not for auth.token.service"),
        ({"aud": ["other"]}, "issued for 'other'"),
        ({"aud": []}, "issued for ''"),
        ({"aud": None}, "issued for ''"),
        ({"aud": ...}, "issued for ''"),
        ({"aud": SERVICE + "x"}, "issued for"),
        ({"aud": 1}, "malformed claims: aud is neither a string nor a list"),
        ({"exp": ...}, "the token has expired"),
        ({"exp": None}, "the token has expired"),
        ({"exp": 0}, "the token has expired"),
        ({"exp": time.time() + 60.5}, "malformed claims: exp is not a whole number"),
        ({"exp": "never"}, "malformed claims: exp is not a whole number"),
        ({"access": {}, "exp": "x"}, "malformed claims"),
        ({"access": "repository:a:pull"}, "malformed claims: access is not a list"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_claims(auth, changes, reason):
    assert invalid(auth, sign(claims(**changes), ROOT.key)).startswith(reason)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 5000], ids=lambda raw: ascii(raw[:4])
)
def test_a_payload_that_is_no_object_of_claims(auth, payload):
    assert invalid(auth, sign(payload, ROOT.key))


@pytest.mark.parametrize(
    ("changes", "second", "reason"),
    [
        ({"exp": 1000}, 1060, None),
        ({"exp": 1000}, 1060.5, "the token has expired"),
        ({"exp": 1000}, 1061, "the token has expired"),
        ({"nbf": 1000, "exp": 2000}, 940, None),
        ({"nbf": 1000, "exp": 2000}, 939, "the token is not valid yet; compare the clocks"),
    ],
)
def test_clocks_may_differ_by_a_minute(tmp_path, changes, second, reason):
    """The second time the token is one that the registry remembers."""
    auth = token_auth(tmp_path, clock=lambda: second)
    token = sign(claims(**{"nbf": 0, "iat": 0, **changes}), ROOT.key)
    for _ in range(2):
        if reason is None:
            assert accepted(auth, token).subject == "alice"
        else:
            assert invalid(auth, token).startswith(reason)


def test_a_remembered_token_expires(tmp_path):
    now = [time.time()]
    auth = token_auth(tmp_path, clock=lambda: now[0])
    token = sign(claims(exp=int(now[0]) + 10), ROOT.key)
    assert accepted(auth, token)
    now[0] += 75
    assert invalid(auth, token) == "the token has expired"
    now[0] += UPLOAD_GRACE_SECONDS
    assert invalid(auth, token) == "the token has expired"
    assert not auth._verified


END = 100_000
BEGINNING = END - 600
LAST = END + 60 + UPLOAD_GRACE_SECONDS


@pytest.mark.parametrize(
    ("began", "now", "changes", "accepts"),
    [
        (END - 5, END + 61, {}, True),
        (BEGINNING - 60, LAST, {}, True),
        (END + 60, LAST, {}, True),
        (END - 5, LAST + 1, {}, False),
        (BEGINNING - 61, END + 61, {}, False),
        (END + 61, END + 62, {}, False),
        (0, END + 61, {}, False),
        (END - 5, END + 61, {"access": [repository_access("a", "*")]}, True),
        (END - 5, END + 61, {"access": [repository_access("a", "pull")]}, False),
        (END - 5, END + 61, {"access": [repository_access("b", "pull", "push")]}, False),
        (END - 5, END + 61, {"access": []}, False),
        (END - 5, END + 61, {"iss": "other"}, False),
        (END - 5, END + 61, {"aud": "other"}, False),
        (END - 5, END + 61, {"exp": ...}, False),
        (BEGINNING - 30, BEGINNING - 61, {}, False),
        (BEGINNING - 30, BEGINNING - 60, {}, True),
    ],
    ids=str,
)
def test_an_upload_outlives_the_token_that_began_it_for_a_while(tmp_path, began, now, changes, accepts):
    auth = token_auth(tmp_path, clock=lambda: now)
    good = {"nbf": BEGINNING, "iat": BEGINNING, "exp": END, "access": [repository_access("a", "pull", "push")]}
    header = f"Bearer {sign(claims(**good | changes), ROOT.key)}"
    needed, begun = requirement(Need.PULL, "a"), Begun("a", began)
    for _ in range(2):  # the second time the registry remembers the token
        if accepts:
            assert auth.authorize(header, needed, begun).subject == "alice"
        else:
            assert 'error="invalid_token"' in refusal(auth, header, needed, begun).headers["WWW-Authenticate"]


@pytest.mark.parametrize(("ago", "expected"), [(61, True), (30, False), (-30, False)])
def test_a_token_has_expired_when_the_leeway_is_over(tmp_path, ago, expected):
    now = time.time()
    auth = token_auth(tmp_path, ROOT, clock=lambda: now)
    assert auth.has_expired(f"Bearer {sign(claims(exp=int(now) - ago), ROOT.key)}") is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {sign(claims(exp=1), ROOT.key)}", True),
        (f"Bearer {sign(claims(exp=1), private_key('P-256'))}", False),
        (f"Basic {sign(claims(exp=1), ROOT.key)}", False),
        ("Bearer x", False),
        ("Bearer ", False),
        (None, False),
    ],
    ids=["expired", "foreign key", "other scheme", "no token", "empty", "none"],
)
def test_only_a_token_that_was_good_has_expired(auth, header, expected):
    assert auth.has_expired(header) is expected


def test_an_upload_does_not_outlive_the_key_that_proved_its_token(tmp_path):
    now = time.time()
    auth = token_auth(tmp_path, ROOT, clock=lambda: now)
    header = f"Bearer {sign(claims(repository_access('a', '*'), nbf=0, exp=int(now) - 90), ROOT.key)}"
    assert auth.authorize(header, (), Begun("a", now - 100))
    write_bundle(tmp_path / "auth.cert", EC_ROOT)
    assert auth.reload()
    refusal(auth, header, (), Begun("a", now - 100))


def test_many_tokens_do_not_fill_the_memory(auth, monkeypatch):
    monkeypatch.setattr("registry_service.auth._REMEMBERED_TOKENS", 3)
    tokens = [sign(claims(jti=str(number)), EC_ROOT.key) for number in range(6)]
    for token in tokens:
        accepted(auth, token)
    assert list(auth._verified) == tokens[3:]


@pytest.mark.parametrize(
    ("access", "needed"),
    [
        ([], requirement(Need.LOGIN)),
        ([("team/app", "pull")], requirement(Need.PULL, "team/app")),
        ([("team/app", "push", "pull")], requirement(Need.PUSH, "team/app")),
        ([("team/app", "pull"), ("team/app", "push")], requirement(Need.PUSH, "team/app")),
        ([("team/app", "*")], requirement(Need.PUSH, "team/app")),
        ([("team/app", "*")], requirement(Need.DELETE, "team/app")),
        ([("team/app", "pull", "push"), ("base", "pull")], requirement(Need.PUSH, "team/app", "base")),
        ([CATALOG], requirement(Need.CATALOG)),
    ],
    ids=str,
)
def test_a_token_that_permits_enough(auth, access, needed):
    entries = [one if isinstance(one, dict) else repository_access(*one) for one in access]
    assert auth.authorize(f"Bearer {sign(claims(*entries), EC_ROOT.key)}", needed).subject == "alice"


@pytest.mark.parametrize(
    ("access", "needed"),
    [
        ([], requirement(Need.PULL, "team/app")),
        ([("team/app",)], requirement(Need.PULL, "team/app")),
        ([("team/app", "pull")], requirement(Need.PUSH, "team/app")),
        ([("team/app", "push")], requirement(Need.PUSH, "team/app")),
        ([("team/app", "pull", "push")], requirement(Need.DELETE, "team/app")),
        ([("team/*", "*")], requirement(Need.PULL, "team/app")),
        ([("*", "*")], requirement(Need.PULL, "team/app")),
        ([("team/app/x", "*"), ("team", "*"), ("team/ap", "*")], requirement(Need.PULL, "team/app")),
        ([("team/app", "PULL")], requirement(Need.PULL, "team/app")),
        ([{"type": "registry", "name": "team/app", "actions": ["*"]}], requirement(Need.PULL, "team/app")),
        ([("team/app", "pull", "push")], requirement(Need.PUSH, "team/app", "base")),
        ([("base", "*"), ("team/app", "pull")], requirement(Need.PUSH, "team/app", "base")),
        ([("catalog", "*")], requirement(Need.CATALOG)),
        ([{**CATALOG, "actions": ["pull"]}], requirement(Need.CATALOG)),
    ],
    ids=str,
)
def test_a_token_that_permits_too_little_is_answered_with_all_that_is_needed(auth, access, needed):
    entries = [one if isinstance(one, dict) else repository_access(*one) for one in access]
    error = refusal(auth, f"Bearer {sign(claims(*entries), EC_ROOT.key)}", needed)
    scope = " ".join(map(str, needed))
    told = error.problems[0].message
    blame = f'error="insufficient_scope",error_description="{told}"'
    assert error.headers == {"WWW-Authenticate": f'{CHALLENGE},scope="{scope}",{blame}'}
    assert [one["Action"] for one in error.problems[0].detail] == [action for one in needed for action in one.actions]


@pytest.mark.parametrize(
    ("access", "needed", "subject", "told"),
    [
        ([], requirement(Need.PULL, "a/b"), "alice", "pull from a/b is not permitted for alice"),
        ([("a/b", "pull")], requirement(Need.PUSH, "a/b"), "alice", "push to a/b is not permitted for alice"),
        ([], requirement(Need.PUSH, "a/b"), "alice", "pull from and push to a/b is not permitted for alice"),
        ([], requirement(Need.DELETE, "a/b"), "", "delete in a/b is not permitted without a login"),
        ([], requirement(Need.CATALOG), "bob", "listing the catalog is not permitted for bob"),
        (
            [("a/b", "pull", "push")],
            requirement(Need.PUSH, "a/b", "secret"),
            "alice",
            "pull from secret is not permitted for alice",
        ),
    ],
    ids=str,
)
def test_who_is_refused_is_told_what_is_missing(auth, access, needed, subject, told):
    token = sign(claims(*(repository_access(*one) for one in access), sub=subject), EC_ROOT.key)
    message = refusal(auth, f"Bearer {token}", needed).problems[0].message
    assert message == f"{told}; an administrator can explain why on the page Access of the console"


def test_who_is_refused_with_a_limited_token_is_told_that_it_is_one(auth):
    token = sign(claims(sub="dev", limited=True), EC_ROOT.key)
    message = refusal(auth, f"Bearer {token}", requirement(Need.PULL, "a")).problems[0].message
    assert message.startswith(
        "pull from a is not permitted for dev with this access token, which has limits of its own;"
    )


@pytest.mark.parametrize(("subject", "shown"), [("王伟", "??"), ('"a\\b', "?a?b"), ("a\r\nX: y", "a??X: y")])
def test_a_name_that_no_header_may_hold_is_whole_in_the_message_alone(auth, subject, shown):
    error = refusal(auth, f"Bearer {sign(claims(sub=subject), EC_ROOT.key)}", requirement(Need.PULL, "a"))
    assert f"permitted for {subject};" in error.problems[0].message
    assert f"permitted for {shown};" in error.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("less", "expected"),
    [([], ["a", "b/c", "d"]), (["b/**"], ["a", "d"]), (["**"], []), (["d", "a"], ["b/c"]), (["{broken"], [])],
    ids=str,
)
def test_what_is_unreadable_wins(auth, less, expected):
    token = sign(claims(repository_access("d", "pull"), readable=["{a,b/*}"], unreadable=less), ROOT.key)
    identity = accepted(auth, token)
    assert [name for name in ("a", "b/c", "d", "e") if identity.may_pull(name)] == expected

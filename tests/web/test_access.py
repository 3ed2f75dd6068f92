import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_service.access import (
    ACTIONS,
    LOCAL,
    UI_DELETE,
    Effect,
    Level,
    Rule,
    Subject,
    allowed_actions,
    allows_ui_delete,
    decide,
    explain,
    is_denied,
    readable,
    unreadable,
)

HELLO = (("*", "hello*", "push"), ("*", "*hello*", "push"))
BY_NETWORK = (("192.*", "**", "pull"), ("192.168.*", "hello/**", "push"))
ONE_HELLO = (("*", "hello*", "push"),)
TEAMS = (
    ("*", "max/*", "push"),
    ("*", "general/*", "pull"),
    ("*", "**", "none"),
    ("*", "single_level", "push"),
    ("*", "{max,test}/*", "push"),
)
IN_CONSOLE = (("*", "max/*", "ui-delete"),)


def rules(lines):
    return [Rule(address, repository, Level(level)) for address, repository, level in lines]


@pytest.mark.parametrize(
    ("lines", "address", "repository", "expected"),
    [
        (HELLO, "127.0.0.1", "ubuntu", ()),
        (HELLO, "127.0.0.1", "ubuntu/hello", ()),
        (HELLO, "127.0.0.1", "hello/ubuntu", ()),
        (BY_NETWORK, "127.0.0.1", "hello/hello", ()),
        (BY_NETWORK, "192.0.0.1", "hello", ("pull",)),
        (BY_NETWORK, "192.0.0.1", "hello/hello", ("pull",)),
        (BY_NETWORK, "192.168.0.1", "hello/hello", ("pull", "push")),
        (ONE_HELLO, "127.0.0.1", "hello", ("pull", "push")),
        (ONE_HELLO, "127.0.0.1", "hello-world-1", ("pull", "push")),
        (ONE_HELLO, "127.0.0.1", "hello.ubuntu", ("pull", "push")),
        (TEAMS, "127.0.0.1", "max/ubuntu", ("pull", "push")),
        (TEAMS, "127.0.0.1", "general/ubuntu", ("pull",)),
        (TEAMS, "127.0.0.1", "single_level", ("pull", "push")),
        (TEAMS, "127.0.0.1", "single", ()),
        (TEAMS, "127.0.0.1", "test/test", ("pull", "push")),
        (IN_CONSOLE, "127.0.0.1", "max/ubuntu", ("ui-delete",)),
        (IN_CONSOLE, "127.0.0.1", "test/test", ()),
    ],
)
def test_rules_allow_what_they_allowed_in_the_program_we_replace(lines, address, repository, expected):
    assert allowed_actions(rules(lines), repository, address) == expected


@pytest.mark.parametrize(
    ("level", "requested", "granted"),
    [
        ("none", "pull push", ""),
        ("pull", "pull push", "pull"),
        ("pull", "push", ""),
        ("push", "push pull", "push pull"),
        ("push", "pull", "pull"),
        ("push", "pull delete", "pull"),
        ("push", "*", ""),
        ("delete", "pull push delete", "pull delete"),
        ("admin", "pull push delete *", "pull push delete *"),
        ("admin", "something", "something"),
        ("admin", "ui-delete", ""),
        ("ui-delete", "pull push delete", ""),
        ("push", "", ""),
    ],
)
def test_what_is_granted_was_requested_and_is_allowed(level, requested, granted):
    decision = decide(rules([("*", "**", level)]), "team/app", "10.0.0.1", requested.split())
    assert decision.granted == tuple(granted.split())


def test_a_name_outside_the_grammar_gets_nothing_even_from_a_rule_for_everything():
    decision = decide(rules([("*", "**", "admin")]), "Team/../app", "10.0.0.1", ["pull"])
    assert decision.granted == ()
    assert decision.reason == "not a repository name"


def test_the_reason_names_the_roles_whose_rules_apply():
    held = [Rule("*", "team/**", Level.PULL, "readers"), Rule("*", "other/**", Level.PUSH, "others")]
    assert decide(held, "team/app", "10.0.0.1", ["pull"]).reason == "roles readers"
    assert decide(held, "elsewhere", "10.0.0.1", ["pull"]).reason == "no rule applies"


@given(
    st.lists(st.tuples(st.sampled_from(["*", "10.*", LOCAL]), st.sampled_from(["**", "a/*"]), st.sampled_from(Level))),
    st.lists(st.sampled_from(["pull", "push", "delete", "*", "odd"]), unique=True),
)
def test_nothing_is_granted_that_was_not_requested_and_only_a_deny_takes_away(lines, requested):
    held = [Rule(*line) for line in lines]
    granted = decide(held, "a/b", "10.0.0.1", requested).granted
    assert set(granted) <= set(requested)
    assert not held or held[-1].denies or set(decide(held[:-1], "a/b", "10.0.0.1", requested).granted) <= set(granted)


RULES = st.lists(
    st.builds(
        Rule,
        address=st.sampled_from(["*", "10.*", "10.0.0.0/8", "192.168.*", LOCAL]),
        repository=st.sampled_from(["**", "a/*", "{user}/**", "other"]),
        level=st.sampled_from(Level),
        role=st.sampled_from(["one", "two"]),
        user=st.sampled_from(["", "a", "bob"]),
        public=st.booleans(),
        enabled=st.booleans(),
    ),
    max_size=6,
)
WHERE = st.sampled_from(["10.0.0.1", "192.168.1.1", LOCAL])


@given(RULES, st.randoms(), WHERE)
def test_the_order_of_rules_means_nothing_and_a_deny_wins(held, random, address):
    mixed = random.sample(held, len(held))
    everything = ["pull", "push", "delete", "*"]
    granted = decide(held, "a/b", address, everything).granted
    assert decide(mixed, "a/b", address, everything).granted == granted
    assert allows_ui_delete(mixed, "a/b", address) == allows_ui_delete(held, "a/b", address)
    if any(rule.applies("a/b", address) and rule.denies and not rule.public for rule in held):
        assert is_denied(held, "a/b", address)
        assert granted == allowed_actions(held, "a/b", address) == ()
        assert not allows_ui_delete(held, "a/b", address)


@given(RULES, WHERE, st.sampled_from(["a/b", "other", "bob/x", "c"]))
def test_what_a_token_calls_readable_may_be_pulled(held, address, repository):
    def told(globs):
        return any(Rule("*", glob, Level.PULL).speaks_of(repository) for glob in globs)

    pulls = "pull" in decide(held, repository, address, ["pull"]).granted
    listed = told(readable(held, address)) and not told(unreadable(held, address))
    assert pulls or not listed
    public_deny = any(rule.public and rule.denies and rule.enabled for rule in held)
    assert listed or not pulls or public_deny


@given(RULES, WHERE, st.sampled_from(["pull", "push", "delete", "*", UI_DELETE]))
def test_an_explanation_says_what_is_decided(held, address, action):
    found = explain(Subject("a", tuple(held)), "a/b", address, action)
    by_rules = allows_ui_delete(held, "a/b", address) if action == UI_DELETE else None
    assert found.allowed == (bool(decide(held, "a/b", address, [action]).granted) if by_rules is None else by_rules)
    assert [one.rule for one in found.findings] == held
    assert found.allowed == any(one.effect is Effect.GRANTS for one in found.findings)


def test_every_level_has_its_actions():
    assert set(ACTIONS) == set(Level)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("*", "**", "push")], ("**",)),
        ([("*", "team/**", "pull"), ("*", "team/**", "push"), ("*", "one", "admin")], ("team/**", "one")),
        ([("*", "**", "none"), ("*", "**", "ui-delete"), ("192.168.*", "**", "pull")], ()),
        ([("10.0.0.0/8", "a/*", "pull"), ("10.0.0.0/8", "c", "delete")], ("a/*", "c")),
    ],
)
def test_readable_is_what_may_be_pulled_from_the_address(lines, expected):
    assert readable(rules(lines), "10.0.0.1") == expected


@pytest.mark.parametrize(
    ("address", "repository", "denied"),
    [
        ("10.0.0.1", "team/secret", True),
        ("10.0.0.1", "team/app", False),
        ("192.168.0.1", "team/secret", False),
        (LOCAL, "team/secret", False),
    ],
)
def test_a_deny_takes_everything_from_what_it_matches_and_nothing_else(address, repository, denied):
    held = rules([("*", "**", "admin"), ("10.*", "team/secret", "deny"), ("*", "**", "ui-delete")])
    decision = decide(held, repository, address, ["pull", "push", "delete", "*"])
    assert (decision.granted == ()) is denied
    assert is_denied(held, repository, address) is denied
    assert allows_ui_delete(held, repository, address) is not denied
    assert not denied or decision.reason == "denied by rules"


def test_a_deny_for_the_console_alone_leaves_the_registry_open():
    held = rules([("*", "**", "pull"), (LOCAL, "**", "ui-delete"), (LOCAL, "a/*", "deny")])
    assert not allows_ui_delete(held, "a/b", "10.0.0.1")
    assert allows_ui_delete(held, "b", "10.0.0.1")
    assert decide(held, "a/b", "10.0.0.1", ["pull"]).granted == ("pull",)


@pytest.mark.parametrize(("address", "repository"), [("*", "{broken"), ("[", "a/b")])
def test_of_a_deny_that_cannot_be_read_the_worst_is_believed(address, repository):
    held = [Rule("*", "**", Level.PULL), Rule(address, repository, Level.DENY)]
    assert decide(held, "a/b", "10.0.0.1", ["pull"]).granted == ()
    assert unreadable(held, "10.0.0.1") == (repository,)


@pytest.mark.parametrize(
    ("user", "repository", "expected"),
    [
        ("alice", "alice/app", True),
        ("alice", "bob/app", False),
        ("alice", "user/app", False),
        ("", "user/app", False),
        ("a.b", "a.b/app", True),
        ("a.b", "axb/app", False),
        ("*", "bob/app", False),
        ("[ab]", "a/app", False),
        ("{a,b}", "a/app", False),
        ("**", "a/b/app", False),
    ],
)
@pytest.mark.parametrize("level", [Level.PULL, Level.DENY, Level.UI_DELETE])
def test_user_stands_for_the_own_name_letter_by_letter_in_every_level(user, repository, expected, level):
    rule = Rule("*", "{user}/**", level, user=user)
    everything = Rule("*", "**", Level.ADMIN)
    assert rule.applies(repository, "10.0.0.1") is expected
    if level is Level.PULL:
        assert bool(decide([rule], repository, "10.0.0.1", ["pull"]).granted) is expected
        assert len(readable([rule], "10.0.0.1")) == bool(user)
    if level is Level.DENY:
        assert bool(decide([rule, everything], repository, "10.0.0.1", ["pull"]).granted) is not expected
        assert len(unreadable([rule], "10.0.0.1")) == bool(user)
    if level is Level.UI_DELETE:
        assert allows_ui_delete([rule], repository, "10.0.0.1") is expected


def test_what_is_public_is_for_users_too_and_its_deny_is_no_business_of_their_own_rules():
    public = [Rule("*", "team/**", Level.PULL, public=True), Rule("*", "team/secret", Level.DENY, public=True)]
    own = [Rule("*", "team/secret", Level.PULL)]
    assert decide(public, "team/app", "10.0.0.1", ["pull", "push"]).granted == ("pull",)
    assert decide(public, "team/secret", "10.0.0.1", ["pull"]).granted == ()
    assert decide([*public, *own], "team/secret", "10.0.0.1", ["pull"]).granted == ("pull",)
    assert not is_denied(public, "team/secret", "10.0.0.1")
    assert readable([*public, *own], "10.0.0.1") == ("team/secret",)
    assert readable(public[:1], "10.0.0.1") == ("team/**",)
    assert unreadable(public, "10.0.0.1") == ()


@pytest.mark.parametrize(
    ("rule", "action", "effect"),
    [
        (Rule("*", "a/*", Level.PUSH), "push", Effect.GRANTS),
        (Rule("*", "a/*", Level.PULL), "push", Effect.OTHER_ACTION),
        (Rule("*", "b/*", Level.PUSH), "push", Effect.OTHER_REPOSITORY),
        (Rule("10.*", "a/*", Level.PUSH), "push", Effect.OTHER_ADDRESS),
        (Rule("*", "a/*", Level.PUSH, enabled=False), "push", Effect.ROLE_DISABLED),
        (Rule("*", "a/*", Level.DENY), "push", Effect.DENIES),
        (Rule("*", "a/*", Level.DENY, public=True), "push", Effect.DENIES_PUBLIC),
        (Rule("*", "{user}/*", Level.PUSH), "push", Effect.OTHER_REPOSITORY),
        (Rule("*", "{user}/*", Level.PUSH, user="a"), "push", Effect.GRANTS),
        (Rule(LOCAL, "a/*", Level.UI_DELETE), UI_DELETE, Effect.GRANTS),
        (Rule("192.168.*", "a/*", Level.UI_DELETE), UI_DELETE, Effect.OTHER_ADDRESS),
        (Rule("192.168.*", "a/*", Level.DENY), UI_DELETE, Effect.DENIES),
        (Rule("*", "a/*", Level.ADMIN), UI_DELETE, Effect.OTHER_ACTION),
    ],
)
def test_each_rule_says_its_part(rule, action, effect):
    (finding,) = explain(Subject("a", (rule,)), "a/b", "192.168.0.1", action).findings
    assert finding.effect is effect


def test_an_explanation_names_the_role_that_decides():
    grants, denies = Rule("*", "**", Level.PULL, "readers"), Rule("*", "a/*", Level.DENY, "keep out")
    allowed = explain(Subject("a", (grants, denies)), "b", "10.0.0.1", "pull")
    assert (allowed.allowed, allowed.text()) == (True, "A rule of the role readers grants it.")
    refused = explain(Subject("a", (grants, denies)), "a/b", "10.0.0.1", "pull")
    assert (refused.allowed, refused.text()) == (
        False,
        "A rule of the role keep out denies it, whatever others allow.",
    )
    assert [one.effect for one in refused.findings] == [Effect.OVERRULED, Effect.DENIES]
    assert explain(Subject("a"), "a/b", "10.0.0.1", "pull").text() == "No rule grants it."
    assert explain(Subject("a"), "A//b", "10.0.0.1", "pull").text() == "A//b is no repository name."


def test_what_is_shut_is_refused_whatever_the_rules_say():
    held = (Rule("*", "**", Level.ADMIN), Rule("*", "**", Level.UI_DELETE))
    assert explain(Subject("a", held, shut="Closed."), "a", "10.0.0.1", "pull").text() == "Closed."
    console = Subject("a", held, console_shut="No console.")
    assert explain(console, "a", "10.0.0.1", "pull").allowed
    assert explain(console, "a", "10.0.0.1", UI_DELETE).text() == "No console."

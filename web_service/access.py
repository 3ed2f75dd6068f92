"""Who may do what: rules x (repository, address, requested actions) -> granted actions, with the reason. No I/O.

A rule says: from these addresses, on these repositories, this level. Rules add up, and where one says `deny`, nothing
is left whatever others allow; their order means nothing. What is granted is what was requested and is allowed. The
program we replace granted what is allowed whatever was requested.

The rules of the role `anonymous` are public: a user has what they allow as well, so that nobody may do less for having
signed in. A public `deny` shuts out only what other public rules allow.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.names import InvalidName, check_repository
from web_service.errors import N_
from web_service.patterns import address_matches, glob_matches, own_glob

LOCAL: Final = "local"
"""The address under which the console asks whether a user may delete."""

CONSOLE: Final = "registry-web"
"""The subject under which the console itself reads the registry; no user may have this name."""

ANY_ACTION: Final = "*"
UI_DELETE: Final = "ui-delete"


class Level(StrEnum):
    """What a rule allows, as it is stored and chosen."""

    NONE = "none"
    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    ADMIN = "admin"
    UI_DELETE = "ui-delete"
    DENY = "deny"


ACTIONS: Final[dict[Level, tuple[str, ...]]] = {
    Level.NONE: (),
    Level.PULL: ("pull",),
    Level.PUSH: ("pull", "push"),
    # As in Docker's token specification a deletion needs `delete` alone; who cleans up must be able to look (pull),
    # but need not be able to replace an image (push).
    Level.DELETE: ("pull", "delete"),
    Level.ADMIN: ("pull", "push", "delete", ANY_ACTION),
    Level.UI_DELETE: (UI_DELETE,),
    Level.DENY: (),
}
"""The actions of each level; `*` stands for every action of the registry."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a role. `address` is a glob, a network or an address; `repository` a glob.

    `user` is whose name `{user}` stands for: for nobody, a rule with it means nothing. `public` rules are those of the
    role `anonymous` for somebody who has signed in. A rule whose role is not `enabled` means nothing.
    """

    address: str
    repository: str
    level: Level
    role: str = ""
    user: str = ""
    public: bool = False
    enabled: bool = True

    @property
    def denies(self) -> bool:
        """Whether the rule takes away."""
        return self.level is Level.DENY

    @property
    def glob(self) -> str:
        """The repositories with the user's own name in place; empty where it needs a name and there is none."""
        return own_glob(self.repository, self.user)

    def speaks_of(self, repository: str) -> bool:
        """Return whether the rule is about this repository. Of a `deny` that cannot be read, the worst is believed."""
        glob = self.glob
        return bool(glob) and glob_matches(glob, repository, broken=self.denies)

    def counts_for(self, address: str) -> bool:
        """Return whether the rule is about this address. Of a `deny` that cannot be read, the worst is believed."""
        return address_matches(self.address, address, broken=self.denies)

    def applies(self, repository: str, address: str) -> bool:
        """Return whether the rule counts, and speaks of this repository and this address."""
        return self.enabled and self.speaks_of(repository) and self.counts_for(address)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was granted, in the order of the request, and why, for the log."""

    granted: tuple[str, ...]
    reason: str


def allowed_actions(rules: Iterable[Rule], repository: str, address: str) -> tuple[str, ...]:
    """Return all that the rules allow on a repository from an address, in rule order, without repetition."""
    return _actions(_left([rule for rule in rules if rule.applies(repository, address)]))


def allows_ui_delete(rules: Iterable[Rule], repository: str, address: str) -> bool:
    """Return whether the console may delete for somebody: asked for LOCAL, and not denied to the browser's address."""
    return UI_DELETE in _actions(_left([rule for rule in rules if _counts_in_console(rule, repository, address)]))


def is_denied(rules: Iterable[Rule], repository: str, address: str) -> bool:
    """Return whether nothing can be allowed on a repository from an address."""
    return any(rule.denies and not rule.public and rule.applies(repository, address) for rule in rules)


def decide(rules: Iterable[Rule], repository: str, address: str, requested: Iterable[str]) -> Decision:
    """Return the requested actions that are allowed."""
    try:
        check_repository(repository)
    except InvalidName:
        return Decision((), "not a repository name")
    matching = [rule for rule in rules if rule.applies(repository, address)]
    if not matching:
        return Decision((), "no rule applies")
    denying = [rule for rule in matching if rule.denies and not rule.public]
    if denying:
        return Decision((), f"denied by {_roles(denying)}")
    allowed = _actions(_left(matching))
    granted = tuple(action for action in requested if covers(allowed, action))
    return Decision(granted, _roles(matching))


def readable(rules: Iterable[Rule], address: str) -> tuple[str, ...]:
    """Return the globs of all repositories that may be pulled from an address, but for what is `unreadable`.

    A public `deny` is no business of the rest, and globs cannot say that: then no public rule is told.
    """
    rules = [rule for rule in rules if rule.enabled and rule.counts_for(address) and rule.glob]
    shut = any(rule.public and rule.denies for rule in rules)
    reading = (rule for rule in rules if "pull" in ACTIONS[rule.level] and not (shut and rule.public))
    return tuple(dict.fromkeys(rule.glob for rule in reading))


def unreadable(rules: Iterable[Rule], address: str) -> tuple[str, ...]:
    """Return the globs of all repositories that are denied to an address, whatever `readable` says."""
    denying = (rule for rule in rules if rule.denies and not rule.public and rule.enabled and rule.glob)
    return tuple(dict.fromkeys(rule.glob for rule in denying if rule.counts_for(address)))


class Effect(StrEnum):
    """What a rule means for one question."""

    GRANTS = "grants"
    DENIES = "denies"
    DENIES_PUBLIC = "denies what is public"
    OVERRULED = "overruled"
    ROLE_DISABLED = "role disabled"
    OTHER_REPOSITORY = "other repository"
    OTHER_ADDRESS = "other address"
    OTHER_ACTION = "other action"


EFFECTS: Final[dict[Effect, str]] = {
    Effect.GRANTS: N_("grants it"),
    Effect.DENIES: N_("denies it"),
    Effect.DENIES_PUBLIC: N_("takes away only what the role anonymous allows"),
    Effect.OVERRULED: N_("would grant it, but a deny wins"),
    Effect.ROLE_DISABLED: N_("does not count: the role is disabled"),
    Effect.OTHER_REPOSITORY: N_("is about other repositories"),
    Effect.OTHER_ADDRESS: N_("is about other addresses"),
    Effect.OTHER_ACTION: N_("applies, but does not include the action"),
}
"""Each effect in words that go on after "the rule"."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Of whom a question is asked: every rule of every role, also of disabled ones; no `name` means not signed in.

    `shut` is the reason why nothing at all is granted, `console_shut` the one why nothing is deleted in the console.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    shut: str = ""
    console_shut: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was looked at, and what it means."""

    rule: Rule
    effect: Effect


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether an action is allowed, and why: a text in English with named values, and every rule's part in it."""

    allowed: bool
    message: str
    values: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def text(self, translate: Callable[[str], str] = str) -> str:
        """Return the reason in the language of `translate`."""
        return translate(self.message) % self.values if self.values else translate(self.message)


def explain(subject: Subject, repository: str, address: str, action: str) -> Explanation:
    """Return what `decide` says of one action, or `allows_ui_delete` of that one, with the reason."""
    try:
        check_repository(repository)
    except InvalidName:
        return Explanation(False, N_("%(name)s is no repository name."), {"name": repository})
    findings = _findings(subject.rules, repository, address, action)
    shut = subject.shut or (subject.console_shut if action == UI_DELETE else "")
    if shut:
        return Explanation(False, shut, findings=findings)
    decisive = {one.effect: one.rule for one in reversed(findings)}
    if Effect.DENIES in decisive:
        text, rule = N_("A rule of the role %(role)s denies it, whatever others allow."), decisive[Effect.DENIES]
        return Explanation(False, text, {"role": rule.role}, findings)
    if Effect.GRANTS in decisive:
        text, rule = N_("A rule of the role %(role)s grants it."), decisive[Effect.GRANTS]
        return Explanation(True, text, {"role": rule.role}, findings)
    return Explanation(False, N_("No rule grants it."), findings=findings)


def _findings(rules: Iterable[Rule], repository: str, address: str, action: str) -> tuple[Finding, ...]:
    found = [Finding(rule, _effect(rule, repository, address, action)) for rule in rules]
    left = _left([one.rule for one in found if one.effect is Effect.GRANTS or _takes_away(one)])
    return tuple(
        Finding(one.rule, Effect.OVERRULED) if one.effect is Effect.GRANTS and one.rule not in left else one
        for one in found
    )


def _takes_away(finding: Finding) -> bool:
    return finding.effect in (Effect.DENIES, Effect.DENIES_PUBLIC)


def _effect(rule: Rule, repository: str, address: str, action: str) -> Effect:
    """Return what a rule means when it stands alone."""
    if not rule.enabled:
        return Effect.ROLE_DISABLED
    if not rule.speaks_of(repository):
        return Effect.OTHER_REPOSITORY
    in_console = action == UI_DELETE and _counts_in_console(rule, repository, address)
    if not in_console and (action == UI_DELETE or not rule.counts_for(address)):
        return Effect.OTHER_ADDRESS
    if rule.denies:
        return Effect.DENIES_PUBLIC if rule.public else Effect.DENIES
    return Effect.GRANTS if covers(ACTIONS[rule.level], action) else Effect.OTHER_ACTION


def _counts_in_console(rule: Rule, repository: str, address: str) -> bool:
    return rule.applies(repository, LOCAL) or (rule.denies and rule.applies(repository, address))


def _left(matching: list[Rule]) -> list[Rule]:
    """Return which of the rules that apply still count when those that deny have won."""
    if any(rule.denies and not rule.public for rule in matching):
        return []
    shut = any(rule.denies for rule in matching)
    return [rule for rule in matching if not (shut and rule.public)]


def _actions(rules: Iterable[Rule]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(action for rule in rules for action in ACTIONS[rule.level]))


def _roles(rules: Iterable[Rule]) -> str:
    roles = ",".join(dict.fromkeys(rule.role for rule in rules if rule.role))
    return f"roles {roles}" if roles else "rules"


def covers(allowed: Iterable[str], action: str) -> bool:
    """Return whether an action is among those allowed."""
    allowed = tuple(allowed)
    return action in allowed or (ANY_ACTION in allowed and action != UI_DELETE)

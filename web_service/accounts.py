"""Accounts: a user with all that decides on rights, read from the rows. For the modules that hold rows.

A user has the roles that were granted to the account, and those of the groups it belongs to.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from web_service import roles
from web_service.access import Level, Rule, Subject
from web_service.administrators import UI_ADMIN
from web_service.errors import N_, NotFound
from web_service.models import GrantRow, GroupGrantRow, GroupRow, MemberRow, RoleRow, RuleRow, UserRow


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role as its holder sees it; a disabled one grants nothing. `group` is through which it is held, if any."""

    id: int
    name: str
    enabled: bool
    group: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A user with all that decides on rights. `created` is epoch seconds.

    `rules` are those of the user's enabled roles and, marked as public, those of the role `anonymous`. A role that is
    held in several ways is in `roles` as often.
    """

    id: int
    name: str
    enabled: bool
    default_password: bool
    robot: bool
    language: str
    created: int
    roles: tuple[HeldRole, ...]
    groups: tuple[str, ...]
    rules: tuple[Rule, ...]

    @property
    def is_admin(self) -> bool:
        """Whether users and roles may be changed."""
        return any(role.enabled and role.name == UI_ADMIN for role in self.roles)

    @property
    def may_browse(self) -> bool:
        """Whether the console shows more than the user's own account."""
        return self.is_admin or any(role.enabled and role.name == roles.UI_USER for role in self.roles)


def load_users(rows: Iterable[UserRow]) -> list[User]:
    """Return the users of the rows; a few queries, however many they are."""
    users = list(rows)
    ids = [row.id for row in users]
    groups = _groups(ids)
    held = _held_roles(ids, groups)
    rules = _rules({role.id: role for roles_ in held.values() for role in roles_ if role.enabled})
    public = tuple(replace(rule, public=True) for rule in public_rules() or ())
    return [
        User(
            row.id,
            row.name,
            row.enabled,
            row.default_password,
            row.robot,
            row.language,
            row.created,
            tuple(held[row.id]),
            tuple(groups[row.id].values()),
            (*_own(rules, held[row.id], row.name), *public),
        )
        for row in users
    ]


def load_user(row: UserRow) -> User:
    """Return the user of a row."""
    return load_users([row])[0]


def public_rules() -> tuple[Rule, ...] | None:
    """Return what counts for who has not signed in; None while everybody has to."""
    role = _anonymous_role()
    return tuple(_rules({role.id: role}).get(role.id, ())) if role and role.enabled else None


def subject_named(name: str) -> Subject:
    """Return of whom a decision can be explained: a user, or nobody for no name; raises NotFound."""
    row: UserRow | None = UserRow.get_or_none(UserRow.name == name) if name else None
    role = _anonymous_role()
    public = [rule for found in _rules({role.id: role} if role else {}).values() for rule in found]
    if name and row is None:
        raise NotFound(N_("There is no user named %(name)s."), name=name)
    if row is None:
        shut = "" if role and role.enabled else N_("The role anonymous is disabled: everybody has to sign in.")
        return Subject("", tuple(public), shut, N_("Nobody deletes in the console without signing in."))
    user = load_user(row)
    own = _own(_rules({one.id: one for one in user.roles}), user.roles, name)
    return Subject(
        name,
        (*own, *(replace(rule, public=True) for rule in public)),
        "" if user.enabled else N_("This account is disabled."),
        "" if user.may_browse else N_("The account does not include the console (role UI_USER)."),
    )


def _groups(ids: list[int]) -> dict[int, dict[int, str]]:
    """Return the groups of users: user id -> group id -> name, by name."""
    found: dict[int, dict[int, str]] = {user_id: {} for user_id in ids}
    query = MemberRow.select(MemberRow, GroupRow).join(GroupRow).where(MemberRow.user.in_(ids))
    for row in query.order_by(GroupRow.name):
        found[row.user_id][row.group_id] = row.group.name
    return found


def _held_roles(ids: list[int], groups: dict[int, dict[int, str]]) -> dict[int, list[HeldRole]]:
    held: dict[int, list[HeldRole]] = {user_id: [] for user_id in ids}
    own = GrantRow.select(GrantRow, RoleRow).join(RoleRow).where(GrantRow.user.in_(ids))
    for grant in own:
        held[grant.user_id].append(HeldRole(grant.role.id, grant.role.name, grant.role.enabled))
    shared: dict[int, list[RoleRow]] = {}
    some = {group_id for of_user in groups.values() for group_id in of_user}
    of_groups = GroupGrantRow.select(GroupGrantRow, RoleRow).join(RoleRow).where(GroupGrantRow.group.in_(list(some)))
    for one in of_groups:
        shared.setdefault(one.group_id, []).append(one.role)
    for user_id, of_user in groups.items():
        for group_id, name in of_user.items():
            held[user_id] += [HeldRole(row.id, row.name, row.enabled, name) for row in shared.get(group_id, ())]
    return {user_id: sorted(found, key=lambda role: (role.name, role.group)) for user_id, found in held.items()}


def _own(rules: dict[int, list[Rule]], held: Iterable[HeldRole], name: str) -> tuple[Rule, ...]:
    """Return the rules of some roles, each role once, as they count for the user of that name."""
    ids = dict.fromkeys(role.id for role in held)
    return tuple(replace(rule, user=name) for role_id in ids for rule in rules.get(role_id, ()))


def _rules(held: dict[int, HeldRole]) -> dict[int, list[Rule]]:
    found: dict[int, list[Rule]] = {}
    for row in RuleRow.select().where(RuleRow.role.in_(list(held))).order_by(RuleRow.id):
        role = held[row.role_id]
        rule = Rule(row.address, row.repository, Level(row.level), role.name, enabled=role.enabled)
        found.setdefault(row.role_id, []).append(rule)
    return found


def _anonymous_role() -> HeldRole | None:
    row = RoleRow.get_or_none((RoleRow.name == roles.ANONYMOUS) & RoleRow.special)
    return None if row is None else HeldRole(row.id, row.name, row.enabled)

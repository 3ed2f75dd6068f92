"""What the REST API and the command line show: documents, and how they are made from what the domain returns.

Times are RFC 3339 in UTC. Who reads a document ignores fields that it does not know, for a newer service may send more.
What both take from people is in `inputs`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from web_service import access, access_tokens, accounts, audit, events, groups, refresh_tokens, roles, simulation
from web_service.access import Effect, Level
from web_service.access_tokens import Api

_LAST_MOMENT: Final = 253402300799
"""The end of the year 9999, beyond which there is no date to write."""


def _moment(value: object) -> object:
    """Return seconds since the epoch as a time."""
    return datetime.fromtimestamp(min(max(value, 0), _LAST_MOMENT), UTC) if isinstance(value, int) else value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A time; may be made from seconds since the epoch, as the domain has it."""
MomentOrNever = Annotated[Moment | None, BeforeValidator(lambda value: value or None)]
"""A time; null for never, which is 0 in the domain."""


class Document(BaseModel):
    """Something that is shown."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class HeldRole(Document):
    """A role as its holder has it."""

    name: str
    enabled: bool = Field(description="A disabled role grants nothing.")
    group: str = Field("", description="The group through which it is held; empty where it was granted directly.")


class User(Document):
    """An account: a person, or a robot."""

    name: str
    enabled: bool
    robot: bool = Field(description="A robot has no password, only access tokens.")
    admin: bool
    language: str = Field("", description="What the console speaks to this user; empty while none was chosen.")
    created: Moment
    roles: list[HeldRole]
    groups: list[str]


class Rule(Document):
    """One line of a role: from these addresses, on these repositories, this level."""

    id: int
    address: str
    repository: str
    level: Level
    comment: str = ""


class Role(Document):
    """A role with its rules, and who has it."""

    name: str
    special: bool = Field(
        description="Built in: UI_USER and UI_ADMIN open the console, anonymous counts for everybody."
    )
    enabled: bool
    rules: list[Rule]
    users: list[str]
    groups: list[str]


class Group(Document):
    """Users who share roles."""

    name: str
    comment: str = ""
    members: list[str]
    roles: list[str]


class AccessToken(Document):
    """A credential of a program; its secret was shown when it was made."""

    id: int
    owner: str
    name: str
    hint: str = Field(description="How the secret begins.")
    limits: list[str] = Field(description="`repository:level`; none for all that its owner may do.")
    api: Api
    created: Moment
    expires: MomentOrNever = Field(description="null for never.")
    last_used: MomentOrNever = Field(description="null for never.")
    last_address: str = ""


class NewToken(AccessToken):
    """A token that was just made. The secret is shown this once."""

    secret: str


class NewRobot(Document):
    """A robot that was just made, with its first token if one was asked for."""

    robot: User
    token: NewToken | None


class RefreshToken(Document):
    """A client that stays signed in without the password."""

    id: int
    client: str = Field(description="What the client calls itself.")
    created: Moment
    expires: Moment
    last_used: Moment
    last_address: str = ""


class Right(Document):
    """A rule as it counts for a user; `{user}` in its repository is the user's own name."""

    role: str
    address: str
    repository: str
    level: Level
    public: bool = Field(description="It comes from the role anonymous and counts for everybody.")


class WhoAmI(Document):
    """Who asks, and what that one may do.

    With a token that has limits there are no rights to see: its limits are the most that it may do.
    """

    user: User
    rights: list[Right]
    token: AccessToken | None = Field(description="With which token the request was made; null for a password.")


class Event(Document):
    """Something that happened in the registry."""

    id: str
    time: Moment
    user: str
    action: str
    repository: str
    tag: str = ""
    digest: str = ""
    media_type: str = ""
    address: str = ""
    user_agent: str = ""


class AuditEntry(Document):
    """Something that somebody did to users, roles, rules, groups or tokens."""

    id: int
    time: Moment
    actor: str
    via: str
    address: str = ""
    action: str
    subject: str = ""
    old: dict[str, Any] = Field(description="What it was before, where something was.")
    new: dict[str, Any] = Field(description="What it is now, where something is.")


class Finding(Document):
    """What one rule means for a question."""

    role: str
    address: str
    repository: str
    level: Level
    public: bool
    effect: Effect


class Explanation(Document):
    """Whether somebody may do something, and why."""

    user: str = Field(description="Empty for who has not signed in.")
    repository: str
    action: str
    address: str
    allowed: bool
    reason: str
    findings: list[Finding]


class Difference(Document):
    """Something that was asked for and would be answered otherwise."""

    user: str = Field(description="Empty for who has not signed in.")
    address: str
    repository: str
    action: str
    gained: bool = Field(description="Allowed after the change only; else before it only.")
    times: int
    last: Moment


class Trial(Document):
    """What a change of rules would have meant for what was asked of the registry in the last days."""

    differences: list[Difference]
    looked_at: int = Field(description="Among so many different requests.")
    days: int


_Item = TypeVar("_Item", bound=Document)


class Listing(Document, Generic[_Item]):
    """One page of a list."""

    items: list[_Item]
    page: int = Field(description="Counted from 1.")
    size: int = Field(description="How many items a page has at most.")
    more: bool = Field(description="Whether another page follows.")


class Users(Listing[User]):
    """Accounts, by name."""


class Roles(Listing[Role]):
    """Roles, by name."""


class Rules(Listing[Rule]):
    """The rules of a role, in the order in which they were added."""


class Groups(Listing[Group]):
    """Groups, by name."""


class AccessTokens(Listing[AccessToken]):
    """Access tokens, by owner and name."""


class RefreshTokens(Listing[RefreshToken]):
    """Refresh tokens, the last used first."""


class Events(Listing[Event]):
    """Events, the newest first."""


class AuditEntries(Listing[AuditEntry]):
    """Entries of the audit trail, the newest first."""


class Detail(Document):
    """What is wrong with one field."""

    field: str
    reason: str


class Error(Document):
    """What went wrong: a code for programs, a message for people."""

    code: str
    message: str
    detail: list[Detail] | None = None


class Failure(Document):
    """The answer to a request that was not done."""

    errors: list[Error]


def user(found: accounts.User) -> User:
    """Return the document of an account."""
    values = {name: getattr(found, name) for name in User.model_fields if name != "admin"}
    return User.model_validate(values | {"admin": found.is_admin})


def rule(found: roles.RoleRule) -> Rule:
    """Return the document of a rule of a role."""
    return Rule.model_validate(found)


def role(found: roles.Role) -> Role:
    """Return the document of a role."""
    return Role(
        name=found.name,
        special=found.special,
        enabled=found.enabled,
        rules=[rule(one) for one in found.rules],
        users=[one.name for one in found.holders],
        groups=[one.name for one in found.groups],
    )


def group(found: groups.Group) -> Group:
    """Return the document of a group."""
    return Group(
        name=found.name,
        comment=found.comment,
        members=[one.name for one in found.members],
        roles=[one.name for one in found.roles],
    )


def access_token(found: access_tokens.AccessToken) -> AccessToken:
    """Return the document of a token, without its secret."""
    return AccessToken.model_validate(_of_token(found))


def new_token(found: access_tokens.AccessToken, secret: str) -> NewToken:
    """Return the document of a token that was just made."""
    return NewToken.model_validate(_of_token(found) | {"secret": secret})


def refresh_token(found: refresh_tokens.RefreshToken) -> RefreshToken:
    """Return the document of a refresh token."""
    return RefreshToken.model_validate(found)


def who_am_i(found: accounts.User, token: access_tokens.AccessToken | None) -> WhoAmI:
    """Return who asks with which token."""
    shown = () if token and token.limits else found.rules
    rights = [Right.model_validate(one) for one in shown]
    return WhoAmI(user=user(found), rights=rights, token=access_token(token) if token else None)


def event(found: events.Event) -> Event:
    """Return the document of an event."""
    values = {name: getattr(found, name) for name in Event.model_fields if name != "id"}
    return Event.model_validate(values | {"id": found.event_id})


def audit_entry(found: audit.Entry) -> AuditEntry:
    """Return the document of a line of the audit trail."""
    return AuditEntry.model_validate(found)


def explanation(name: str, repository: str, action: str, address: str, found: access.Explanation) -> Explanation:
    """Return the document of a decision, in English."""
    names = [name for name in Finding.model_fields if name != "effect"]
    findings = [
        Finding(effect=one.effect, **{name: getattr(one.rule, name) for name in names}) for one in found.findings
    ]
    return Explanation(
        user=name,
        repository=repository,
        action=action,
        address=address,
        allowed=found.allowed,
        reason=found.text(),
        findings=findings,
    )


def trial(found: simulation.Trial) -> Trial:
    """Return the document of a trial."""
    return Trial.model_validate(found)


def _of_token(found: access_tokens.AccessToken) -> dict[str, Any]:
    values = {name: getattr(found, name) for name in AccessToken.model_fields}
    return values | {"limits": [str(limit) for limit in found.limits]}

"""What the REST API takes: documents that are checked, field by field, before anything is done.

A field that is not known is refused. Whether a thing exists, and whether the rules of the house allow it, is for the
domain to say.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from shared.texts import clean
from web_service.access import Level
from web_service.access_tokens import LONGEST_DAYS, Api
from web_service.errors import Problem
from web_service.limits import MOST, Limit
from web_service.passwords import LONGEST, SHORTEST
from web_service.patterns import check_address, check_repository_glob
from web_service.roles import RuleDraft
from web_service.users import check_name

LONGEST_NAME: Final = 64
_LONGEST_TEXT: Final = 255


class Input(BaseModel):
    """Something that is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _user_name(text: str) -> str:
    try:
        return check_name(text)
    except Problem as problem:
        raise ValueError(str(problem)) from None


def _address(text: str) -> str:
    try:
        return check_address(text.strip())
    except Problem as problem:
        raise ValueError(f"it {problem}") from None


def _repositories(text: str) -> str:
    try:
        return check_repository_glob(text.strip())
    except Problem as problem:
        raise ValueError(f"it {problem}") from None


def _limit(text: str) -> str:
    try:
        return str(Limit.parse(text))
    except Problem as problem:
        raise ValueError(str(problem)) from None


_Text = Annotated[str, AfterValidator(clean)]
UserName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME, examples=["anna"]),
    AfterValidator(_user_name),
]
Name = Annotated[
    str,
    Field(
        max_length=LONGEST_NAME,
        pattern=r"^\w[\w .@+-]*$",
        description="Letters (of any script), digits, spaces or . _ - @ +; it starts with a letter or digit.",
        examples=["developers"],
    ),
]
Comment = Annotated[_Text, Field(max_length=_LONGEST_TEXT, examples=["for the build servers"])]
Password = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST, examples=["correct horse"])]
AddressPattern = Annotated[
    _Text,
    Field(
        max_length=_LONGEST_TEXT,
        description="A network, an address or a glob; * for every address.",
        examples=["10.0.0.0/8"],
    ),
    AfterValidator(_address),
]
RepositoryGlob = Annotated[
    _Text,
    Field(
        max_length=_LONGEST_TEXT, description="A glob of repositories; ** for every repository.", examples=["team/**"]
    ),
    AfterValidator(_repositories),
]
LimitText = Annotated[
    _Text,
    Field(
        max_length=_LONGEST_TEXT,
        description="`repository:level`, where level is pull, push, delete or admin.",
        examples=["team/**:push"],
    ),
    AfterValidator(_limit),
]


class NewUser(Input):
    """A person who shall have an account."""

    name: UserName
    password: Password | None = Field(
        None, description="Left out, nobody can sign in until an administrator sets one. Refused to access tokens."
    )
    enabled: bool = True


class UserChange(Input):
    """What shall be different of an account; what is left out stays."""

    name: UserName | None = None
    enabled: bool | None = None


class PasswordChange(Input):
    """A new password."""

    password: Password


class NewAccessToken(Input):
    """An access token that shall be made."""

    name: Name
    days: int = Field(90, ge=0, le=LONGEST_DAYS, description="How long it lives; 0 for ever.")
    limits: list[LimitText] = Field(
        [], max_length=MOST, description="To what it is limited; none for all that its owner may do."
    )
    api: Api = Field(Api.NONE, description="What it may do with this API. One with limits cannot have `write`.")

    @field_validator("api")
    @classmethod
    def _no_limits_where_all_can_be_changed(cls, api: Api, info: ValidationInfo) -> Api:
        if api is Api.WRITE and info.data.get("limits"):
            raise ValueError("A token that may change things by the API cannot be limited to repositories.")
        return api


class NewRobotAccount(Input):
    """A robot that shall be made."""

    name: UserName
    rules: list[LimitText] = Field(
        [], max_length=MOST, description="What it may do: `repository:level`. They become a role of its own."
    )
    address: AddressPattern = Field("*", description="From which addresses it may do that.")
    token: NewAccessToken | None = Field(None, description="Its first token.")


class NewRole(Input):
    """A role that shall be made, without rules."""

    name: Name


class RoleChange(Input):
    """What shall be different of a role; what is left out stays."""

    name: Name | None = None
    enabled: bool | None = None


class NewRule(Input):
    """A rule as it shall be."""

    address: AddressPattern = "*"
    repository: RepositoryGlob
    level: Level
    comment: Comment = ""

    def draft(self) -> RuleDraft:
        """Return it as the domain takes it."""
        return RuleDraft(self.address, self.repository, self.level.value, self.comment)


class RuleChange(Input):
    """A change of a rule that is tried."""

    rule: NewRule | None = Field(description="The rule as it would be; null for none any more.")


class NewGroup(Input):
    """A group that shall be made, without members."""

    name: Name
    comment: Comment = ""


class GroupChange(Input):
    """What shall be different of a group; what is left out stays."""

    name: Name | None = None
    comment: Comment | None = None

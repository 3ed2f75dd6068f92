"""Who acts, for tests that change users and roles without a console."""

from web_service.accounts import User
from web_service.actors import Actor, Via

ADMIN = Actor("the test", Via.SYSTEM)


def acting(user: User) -> Actor:
    """Return the actor that a user is in the console."""
    return Actor(user.name, Via.CONSOLE, "127.0.0.1", user.id)

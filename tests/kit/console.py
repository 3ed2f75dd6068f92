"""The console in a real browser, driven by what a person sees: labels, buttons and links."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Page, async_playwright, expect

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000


@dataclass(frozen=True)
class Event:
    """A line of the event list."""

    user: str
    action: str
    image: str
    address: str


class Console:
    """One visitor of the console; `page` is there for what only one test looks at."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    async def open(self, path: str) -> None:
        answer = await self.page.goto(f"{self.url}{path}")
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"

    async def sign_in(self, user: str, password: str) -> None:
        await self.open("/login")
        await self.page.get_by_label("User name").fill(user)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    async def sign_out(self) -> None:
        await self.page.get_by_role("button", name="Sign out").click()
        await expect(self.page.get_by_role("heading", name="Sign in")).to_be_visible()

    async def create_user(self, name: str, password: str, *, roles: list[str]) -> None:
        await self.open("/user/index")
        await self.page.get_by_role("link", name="Create user").click()
        await self.page.get_by_label("User name").fill(name)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_label("May use the console").set_checked("UI_USER" in roles)
        await self.page.get_by_role("button", name="Create user").click()
        await expect(self.page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        for role in roles:
            if role != "UI_USER":
                await self.grant_role(role)

    async def create_role(self, name: str, *, repository: str, level: str) -> None:
        """Create a role with one rule."""
        await self.open("/role/index")
        await self.page.get_by_label("Name of the new role").fill(name)
        await self.page.get_by_role("button", name="Create role").click()
        await self.page.get_by_label("Repository").fill(repository)
        await self.page.get_by_label("Level").select_option(level)
        await self.page.get_by_role("button", name="Add rule").click()
        await expect(self.page.get_by_role("cell", name=repository, exact=True)).to_be_visible()

    async def grant_role(self, role: str) -> None:
        """Grant a role to the user whose page is open."""
        await self.page.get_by_label("Role", exact=True).select_option(role)
        await self.page.get_by_role("button", name="Grant role").click()
        await expect(self.page.get_by_role("button", name=f"Revoke the role {role}")).to_be_visible()

    async def enable_role(self, role: str, *, enabled: bool) -> None:
        await self.open("/role/index")
        await self.page.get_by_role("link", name=role, exact=True).click()
        await self.page.get_by_role("button", name="Enable" if enabled else "Disable", exact=True).click()
        await expect(
            self.page.get_by_role("button", name="Disable" if enabled else "Enable", exact=True)
        ).to_be_visible()

    async def make_token(self, name: str, *, limits: str = "") -> str:
        """Make an access token on the page that is open, and return its secret, which only the next page shows."""
        await self.page.get_by_label("Name", exact=True).fill(name)
        await self.page.get_by_label("Limits", exact=True).fill(limits)
        await self.page.get_by_role("button", name="Make a token").click()
        return await self.new_secret()

    async def new_secret(self) -> str:
        """Return the secret that the page shows, and go on."""
        secret = await self.page.locator("#secret").inner_text()
        await self.page.get_by_role("link", name="I have copied it").click()
        return secret

    async def repositories(self) -> list[str]:
        await self.open("/")
        return await self.page.locator("summary .name").all_inner_texts()

    async def tags(self, repository: str) -> list[str]:
        await self.open(f"/repo/tags/{repository}")
        return await self.page.locator("tr.first > td:first-child").all_inner_texts()

    async def delete(self, repository: str, tag: str) -> None:
        """Delete an image from the list, through the question that is asked first."""
        await self.open(f"/repo/tags/{repository}")
        await self.page.get_by_role("link", name=f"Delete {repository}:{tag}").click()
        await expect(self.page.get_by_role("heading", name=f"Delete {repository}:{tag}?")).to_be_visible()
        await self.page.get_by_role("button", name="Delete", exact=True).click()
        await expect(self.page.get_by_role("status").filter(has_text=f"Deleted {repository}:{tag}")).to_be_visible()

    async def events(self) -> list[Event]:
        await self.open("/event/index")
        rows = [await row.locator("td").all_inner_texts() for row in await self.page.locator("tbody tr").all()]
        return [Event(user, action, image, address) for _, user, action, image, address, _ in rows]


@asynccontextmanager
async def browser_page(url: str, folder: Path, *, locale: str = "en-US") -> AsyncIterator[Console]:
    """Open a new browser; whatever it complained about, or asked of another host, fails the test at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(locale=locale)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
        page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
        page.on("request", lambda asked: complaints.append(asked.url) if _is_foreign(asked.url, url) else None)
        try:
            yield Console(page, url)
        except BaseException:
            await page.screenshot(path=folder / "failure.png", full_page=True)
            raise
        finally:
            await browser.close()
        assert not complaints, complaints


def _is_complaint(said: ConsoleMessage) -> bool:
    """A page that answers with an error status is what a test may be about; all else is not."""
    refused_page = said.text.startswith("Failed to load resource") and "/static/" not in said.location["url"]
    return said.type in ("error", "warning") and not refused_page


def _is_foreign(asked: str, url: str) -> bool:
    return urlsplit(asked).netloc != urlsplit(url).netloc and not asked.startswith("data:")

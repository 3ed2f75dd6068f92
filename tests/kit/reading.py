"""What tests read of a console: the tables and forms of its pages, and all that its database file holds."""

import re
import sqlite3
from pathlib import Path


def rows(page: str) -> list[list[str]]:
    """Return the cells of the first table, line by line, without their marks."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    lines = [re.findall(r"<td[^>]*>(.*?)</td>", line, re.DOTALL) for line in body.split("<tr>")[1:]]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in line] for line in lines]


def form_to(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields of the form that goes to an address."""
    form = re.search(rf'<form method="\w+" action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert form is not None, action
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[1]))


def contents(file: Path | str) -> list[str]:
    """Return all that an SQLite file holds, as statements."""
    connection = sqlite3.connect(file)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()

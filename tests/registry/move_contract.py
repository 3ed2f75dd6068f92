"""The storage driver contract of moves: how appended bytes get their place for good, and what goes with them."""

import asyncio

import pytest

from registry_service.storage.driver import Changed, KeyNotFound, Move, WrongOffset
from tests.registry.driver_contract import SIZES, content, outcome


class MoveContract:
    """The suite; a subclass has a fixture `driver` that returns an empty one."""

    @SIZES
    async def test_a_move_puts_the_bytes_elsewhere(self, driver, size):
        await driver.append("uploads/1", 0, content(size))
        await driver.move(Move("uploads/1", "blobs/x/data", size))
        assert await driver.read("blobs/x/data") == content(size)
        assert await driver.children("uploads") == []

    async def test_small_keys_may_come_beside_a_move(self, driver):
        await driver.append("a/up", 0, content(1000))
        await driver.write("x/old", b"old")
        await driver.move(Move("a/up", "b/data", 1000, beside={"x/old": b"new", "y/z/link": b"link"}))
        assert await driver.read("b/data") == content(1000)
        assert (await driver.read("x/old"), await driver.read("y/z/link")) == (b"new", b"link")
        assert await driver.children("x") == ["old"]

    async def test_a_move_of_another_number_of_bytes_writes_nothing_beside_it(self, driver):
        await driver.append("a/up", 0, content(1000))
        with pytest.raises(WrongOffset):
            await driver.move(Move("a/up", "b/data", 999, beside={"y/link": b"link"}))
        assert await driver.children("y") == []

    @pytest.mark.parametrize("stored", [0, 1, 600, 999])
    async def test_the_last_bytes_may_come_with_the_move(self, driver, stored):
        if stored:
            await driver.append("a/up", 0, content(1000)[:stored])
        await driver.move(Move("a/up", "b/data", 1000, tail=bytearray(content(1000)[stored:])))
        assert await driver.read("b/data") == content(1000)
        assert await driver.children("a") == []

    @pytest.mark.parametrize("stored", [1, 100])
    async def test_last_bytes_that_do_not_begin_at_the_end_are_refused(self, driver, stored):
        await driver.append("a/up", 0, content(stored))
        for tail in (content(1000), content(1000)[stored + 1 :], content(1000)[stored - 1 :] if stored > 1 else b"x"):
            with pytest.raises(WrongOffset) as caught:
                await driver.move(Move("a/up", "b/data", 1000, tail=tail, beside={"y/link": b"link"}))
            assert caught.value.size == stored
        assert await driver.read("a/up") == content(stored)
        assert [await driver.children(folder) for folder in ("b", "y")] == [[], []]

    async def test_last_bytes_of_what_is_not_there_are_refused(self, driver):
        with pytest.raises(KeyNotFound):
            await driver.move(Move("a/up", "b/data", 1000, tail=content(10)))

    async def test_only_the_bytes_that_are_meant_are_moved(self, driver):
        state = await driver.append("a/up", 0, content(10))
        assert state == (await driver.stat("a/up")).state
        await driver.delete("a/up")
        other = await driver.append("a/up", 0, content(10, 1))
        for tail in (b"", b"tail"):
            with pytest.raises(Changed):
                await driver.move(Move("a/up", "b/data", 10 + len(tail), tail=tail, state=state))
        with pytest.raises(Changed):
            await driver.append("a/up", 10, b"more", expected=state)
        assert await driver.read("a/up") == content(10, 1)
        assert await driver.append("a/up", 10, b"more", expected=other) != other
        await driver.move(Move("a/up", "b/data", 14, state=(await driver.stat("a/up")).state))
        assert await driver.read("b/data") == content(10, 1) + b"more"

    async def test_a_key_may_get_another_name_and_place(self, driver):
        for key, data in (("n/a", b"one"), ("n/b", b"two"), ("m/b", b"old")):
            await driver.write(key, data)
        await driver.append("a/up", 0, b"x")
        renamed = {"n/a": "k/l/a", "n/b": "m/b", "n/none": "k/none"}
        await driver.move(Move("a/up", "b/data", 1, renamed=renamed, hints={"k/l/a": b"hint", "k/none": b"hint"}))
        assert [await driver.read(key) for key in ("k/l/a", "m/b", "k/none")] == [b"one", b"two", b"hint"]
        assert await driver.children("n") == []

    async def test_of_moves_that_rename_the_same_one_wins(self, driver):
        await driver.write("n/a", b"note")
        moves = [Move(f"up/{i}", f"b/{i}", 1, tail=b"x", renamed={"n/a": f"m/{i}/a"}) for i in range(5)]
        results = await asyncio.gather(*map(driver.move, moves), return_exceptions=True)
        assert [type(result) for result in results].count(KeyNotFound) == 4
        assert await driver.read(f"m/{results.index(None)}/a") == b"note"

    async def test_hints_are_made_where_there_are_none(self, driver):
        await driver.write("h/old", b"old")
        await driver.append("a/up", 0, b"x")
        await driver.move(Move("a/up", "b/data", 1, hints={"h/old": b"new", "i/new": b"new"}))
        assert (await driver.read("h/old"), await driver.read("i/new")) == (b"old", b"new")

    @pytest.mark.parametrize("leaves", [["n/a"], ["n/a", "a"], ["none", "a"], ["a", "n/a"], ["n", "a/b"]])
    async def test_what_a_move_leaves_is_gone(self, driver, leaves):
        await driver.write("n/a", b"note")
        for key in ("a/b/c", "a/d"):
            await driver.write(key, b"x")
        await driver.append("a/up", 0, b"x")
        await driver.move(Move("a/up", "b/data", 1, leaves=leaves))
        for key in ("n/a", "a/b/c", "a/d"):
            left = any(key == one or key.startswith(f"{one}/") for one in leaves)
            assert await outcome(driver.read(key)) == (KeyNotFound if left else b"note" if key == "n/a" else b"x")

    async def test_of_moves_that_leave_the_same_one_wins(self, driver):
        await driver.write("n/a", b"note")
        moves = [Move(f"up/{i}", f"b/{i}", 1, tail=b"x", leaves=["n/a", "up/none"]) for i in range(5)]
        results = await asyncio.gather(*map(driver.move, moves), return_exceptions=True)
        assert sorted(map(str, map(type, results))) == sorted([str(type(None)), *[str(KeyNotFound)] * 4])

    async def test_a_move_replaces_its_target(self, driver):
        await driver.write("blobs/x", content(50, 1))
        await driver.append("uploads/1", 0, content(10))
        await driver.move(Move("uploads/1", "blobs/x", 10))
        assert await driver.read("blobs/x") == content(10)

    @pytest.mark.parametrize("size", [0, 9, 11])
    async def test_a_move_of_another_number_of_bytes_changes_nothing(self, driver, size):
        await driver.append("uploads/1", 0, content(10))
        await driver.write("blobs/x", b"old")
        with pytest.raises(WrongOffset) as caught:
            await driver.move(Move("uploads/1", "blobs/x", size))
        assert caught.value.size == 10
        assert await driver.read("uploads/1") == content(10)
        assert await driver.read("blobs/x") == b"old"

    async def test_no_append_reaches_moved_bytes(self, driver):
        await driver.append("uploads/1", 0, content(10))
        await driver.move(Move("uploads/1", "blobs/x", 10))
        with pytest.raises(KeyNotFound):
            await driver.append("uploads/1", 10, b"more")
        await driver.append("uploads/1", 0, b"another")
        assert await driver.read("blobs/x") == content(10)
        assert await driver.read("uploads/1") == b"another"

    async def test_an_append_that_races_a_move_comes_before_it_or_fails(self, driver):
        for number in range(30):
            source, target = f"uploads/{number}", f"blobs/{number}"
            await driver.append(source, 0, content(100))
            calls = [driver.append(source, 100, b"more"), driver.move(Move(source, target, 100))]
            order = 1 if number % 2 else -1
            appended, moved = (await asyncio.gather(*calls[::order], return_exceptions=True))[::order]
            if moved is None:
                assert isinstance(appended, KeyNotFound)
                assert await driver.read(target) == content(100)
            else:
                assert isinstance(moved, WrongOffset)
                assert await driver.read(source) == content(100) + b"more"

    async def test_of_moves_of_one_source_one_wins(self, driver):
        await driver.append("uploads/1", 0, content(10))
        moves = [driver.move(Move("uploads/1", f"blobs/{number}", 10)) for number in range(5)]
        results = await asyncio.gather(*moves, return_exceptions=True)
        assert results.count(None) == 1
        assert all(result is None or isinstance(result, KeyNotFound) for result in results)
        assert await driver.read(f"blobs/{results.index(None)}") == content(10)

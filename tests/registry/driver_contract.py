"""The storage driver contract: one suite over every driver. A driver's test file makes it and inherits."""

import asyncio
import itertools
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry_service.storage.driver import ANYTHING, Changed, Driver, KeyNotFound, Move, WrongOffset

SIZES = pytest.mark.parametrize("size", [0, 1, 1000, (2 << 20) + 1])
NUMBERS = itertools.count()
SHARED_DRIVER = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
"""Examples share one driver, in which each has a folder of its own."""


def content(size: int, seed: int = 0) -> bytes:
    """Return bytes in which no part looks like another."""
    return b"".join(((seed << 32) + number).to_bytes(8, "big") for number in range(size // 8 + 1))[:size]


async def streamed(driver: Driver, key: str, start: int, length: int) -> bytes:
    return b"".join([chunk async for chunk in driver.stream(key, start, length)])


def in_pieces(opened, data: bytes):
    """Append what a turn of an upload would, and return the state."""
    with opened as end:
        for start in range(0, len(data), 300_000):
            end.write(memoryview(data)[start : start + 300_000])
        return end.state()


class DriverContract:
    """The suite; a subclass has a fixture `driver` that returns an empty one."""

    @SIZES
    async def test_what_is_written_is_read(self, driver, size):
        began = time.time()
        await driver.write("a/b/c", content(size))
        assert await driver.read("a/b/c") == content(size)
        assert await streamed(driver, "a/b/c", 0, size) == content(size)
        stat = await driver.stat("a/b/c")
        assert stat.size == size
        assert began - 5 <= stat.modified <= time.time() + 5

    @pytest.mark.parametrize("sizes", [(10, 20), (20, 10), (10, 0), (0, 10)], ids=str)
    async def test_a_write_replaces_the_whole(self, driver, sizes):
        for number, size in enumerate(sizes):
            await driver.write("a/b", content(size, number))
        assert await driver.read("a/b") == content(sizes[1], 1)
        assert await driver.children("a") == ["b"]

    @pytest.mark.parametrize(
        ("present", "expected", "written"),
        [
            (None, None, True),
            (b"old", b"old", True),
            (b"", b"", True),
            (b"old", ANYTHING, True),
            (None, ANYTHING, True),
            (b"old", None, False),
            (b"", None, False),
            (None, b"", False),
            (b"old", b"other", False),
            (b"old", b"ol", False),
        ],
    )
    async def test_a_write_may_depend_on_what_is_there(self, driver, present, expected, written):
        if present is not None:
            await driver.write("a/b", present)
        if written:
            await driver.write("a/b", b"new", expected=expected)
        else:
            with pytest.raises(Changed):
                await driver.write("a/b", b"new", expected=expected)
        assert await outcome(driver.read("a/b")) == (b"new" if written else KeyNotFound if present is None else present)
        assert await driver.children("a") == (["b"] if written or present is not None else [])

    @pytest.mark.parametrize("present", [None, b"old"])
    async def test_of_writes_that_expect_the_same_one_wins(self, driver, present):
        rivals = [content(10 + number) for number in range(5)]
        for key in (f"a{number}/b" for number in range(20)):
            if present is not None:
                await driver.write(key, present)
            calls = [driver.write(key, rival, expected=present) for rival in rivals]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results].count(Changed) == 4
            assert await driver.read(key) == rivals[results.index(None)]

    async def test_a_reader_sees_the_old_bytes_or_the_new_ones(self, driver):
        versions = [content(40_000 + 10_000 * number, number) for number in range(2)]
        await driver.write("a/b", versions[0])
        done = False

        async def read():
            while not done:
                assert await driver.read("a/b") in versions
                await asyncio.sleep(0)

        readers = [asyncio.create_task(read()) for _ in range(3)]
        for number in range(20):
            await driver.write("a/b", versions[number % 2])
            await asyncio.sleep(0)
        done = True
        await asyncio.gather(*readers)

    async def test_writes_that_race_leave_one_of_them(self, driver):
        versions = [content(1000 + number, number) for number in range(10)]
        await asyncio.gather(*(driver.write("new/folder/key", version) for version in versions))
        assert await driver.read("new/folder/key") in versions
        assert await driver.children("new/folder") == ["key"]

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    async def test_appends_come_one_after_the_other(self, driver, kind):
        whole = content(3000)
        for start in range(0, 3000, 1000):
            await driver.append("a/b", start, kind(whole[start : start + 1000]))
        assert await driver.read("a/b") == whole

    async def test_a_thread_appends_in_pieces(self, driver):
        whole, end = content(3 << 20), 0
        state = None
        for size in (1 << 20, 700_000, 0, (3 << 20) - (1 << 20) - 700_000):
            state = await asyncio.to_thread(in_pieces, driver.appending("a/b", end, expected=state), whole[end:][:size])
            end += size
            assert (await driver.stat("a/b")).state == state
        assert await driver.read("a/b") == whole
        assert await driver.append("a/b", end, b"x", expected=state) != state

    @pytest.mark.parametrize(
        ("key", "offset", "expected", "error"),
        [("a/b", 9, None, WrongOffset), ("a/b", 10, (-2,), Changed), ("a/c", 5, None, KeyNotFound)],
    )
    async def test_a_thread_is_refused_as_an_append_is(self, driver, key, offset, expected, error):
        await driver.append("a/b", 0, content(10))
        with pytest.raises(error):
            await asyncio.to_thread(in_pieces, driver.appending(key, offset, expected=expected), b"x")
        assert await driver.read("a/b") == content(10)

    async def test_appending_nothing_makes_an_empty_key(self, driver):
        await driver.append("a/b", 0, b"")
        assert (await driver.stat("a/b")).size == 0
        assert await driver.read("a/b") == b""
        assert await streamed(driver, "a/b", 0, 0) == b""

    @pytest.mark.parametrize("offset", [0, 9, 11, 1 << 40])
    async def test_an_append_that_does_not_start_at_the_end_is_refused_with_the_end(self, driver, offset):
        await driver.append("a/b", 0, content(10))
        with pytest.raises(WrongOffset) as caught:
            await driver.append("a/b", offset, b"x")
        assert caught.value.size == 10
        assert await driver.read("a/b") == content(10)

    async def test_an_appended_batch_may_be_changed_afterwards(self, driver):
        batch = bytearray(b"abc")
        await driver.append("a/b", 0, batch)
        batch[:] = b"xyz"
        assert await driver.read("a/b") == b"abc"

    async def test_of_appends_to_one_place_one_wins_whole(self, driver):
        rivals = [content(100_000 + number, number) for number in range(8)]
        results = await asyncio.gather(*(driver.append("a/b", 0, one) for one in rivals), return_exceptions=True)
        winners = [one for one, result in zip(rivals, results, strict=True) if isinstance(result, tuple)]
        losers = [result for result in results if not isinstance(result, tuple)]
        assert [await driver.read("a/b")] == winners
        assert all(isinstance(one, WrongOffset) for one in losers)

    async def test_concurrent_appends_never_interleave(self, driver):
        records = [content(1000, number) for number in range(30)]

        async def add(record):
            while True:
                size = (await driver.stat("a/b")).size
                try:
                    return await driver.append("a/b", size, record)
                except WrongOffset:
                    continue

        await driver.append("a/b", 0, b"")
        await asyncio.gather(*map(add, records))
        whole = await driver.read("a/b")
        assert sorted(whole[i : i + 1000] for i in range(0, len(whole), 1000)) == sorted(records)

    async def test_a_deletion_need_not_last_to_be_seen(self, driver):
        await driver.write("a/b", b"x")
        await driver.write("c/d/e", b"x")
        await driver.delete("a/b", durable=False)
        await driver.delete("c", durable=False)
        assert [await driver.children(folder) for folder in ("a", "c", "c/d")] == [[], [], []]

    async def test_children_are_the_names_directly_below_in_byte_order(self, driver):
        for key in ("f/b", "f/B", "f/a-b", "f/a.b/x/y", "f/a/x", "f/a/y", "f/_a/x", "f/10", "f/9", "fx/c", "g"):
            await driver.write(key, b"")
        assert await driver.children("f") == ["10", "9", "B", "_a", "a", "a-b", "a.b", "b"]
        assert await driver.children("f/a") == ["x", "y"]

    @pytest.mark.parametrize("folder", ["none", "f/none", "f/key", "f/key/none"])
    async def test_what_is_no_folder_has_no_children(self, driver, folder):
        await driver.write("f/key", b"")
        assert await driver.children(folder) == []

    async def test_a_folder_may_be_called_like_an_unfinished_write(self, driver):
        """`v1.tmp` is a good tag, and `app.tmp` a good repository."""
        await driver.write("tags/v1.tmp/current/link", b"x")
        assert await driver.children("tags") == ["v1.tmp"]

    async def test_a_deleted_key_is_gone_and_its_neighbours_stay(self, driver):
        for key in ("f/a", "f/ab", "f/a.b"):
            await driver.write(key, b"x")
        await driver.delete("f/a")
        assert await driver.children("f") == ["a.b", "ab"]
        with pytest.raises(KeyNotFound):
            await driver.read("f/a")

    async def test_a_deleted_folder_takes_everything_below_it_along(self, driver):
        for key in ("f/a/b/c", "f/a/d", "f/ab/c", "f/b"):
            await driver.write(key, b"x")
        await driver.delete("f/a")
        assert await driver.children("f") == ["ab", "b"]
        assert await driver.children("f/a") == []
        for key in ("f/a/b/c", "f/a/d"):
            with pytest.raises(KeyNotFound):
                await driver.stat(key)
        assert await driver.read("f/ab/c") == b"x"

    async def test_a_key_can_be_made_again_after_it_was_deleted(self, driver):
        await driver.write("f/a/b", b"old")
        await driver.delete("f")
        await driver.write("f/a/b", b"new")
        assert await driver.read("f/a/b") == b"new"

    @pytest.mark.parametrize(
        ("start", "length"),
        [(0, 0), (0, 1), (0, 1000), (1, 998), (999, 1), (500, 10_000), (1000, 1), (2000, 5)],
        ids=str,
    )
    async def test_a_stream_yields_the_part_asked_for(self, driver, start, length):
        await driver.write("a/b", content(1000))
        assert await streamed(driver, "a/b", start, length) == content(1000)[start : start + length]

    async def test_a_long_stream_yields_every_byte_once(self, driver):
        whole = content((3 << 20) + 5)
        await driver.append("a/b", 0, whole)
        assert await streamed(driver, "a/b", 7, (2 << 20) + 3) == whole[7 : (2 << 20) + 10]

    @pytest.mark.parametrize("key", ["none", "f", "f/none", "f/key/below"])
    @pytest.mark.parametrize(
        "call",
        [
            lambda driver, key: driver.stat(key),
            lambda driver, key: driver.read(key),
            lambda driver, key: streamed(driver, key, 0, 1),
            lambda driver, key: driver.append(key, 5, b"x"),
            lambda driver, key: driver.move(Move(key, "target", 0)),
        ],
        ids=["stat", "read", "stream", "append", "move"],
    )
    async def test_what_is_no_key_is_not_found(self, driver, call, key):
        await driver.write("f/key", b"x")
        with pytest.raises(KeyNotFound):
            await call(driver, key)

    @pytest.mark.parametrize("key", ["none", "f/none", "f/key/below", "f/ke"])
    async def test_what_is_not_there_cannot_be_deleted(self, driver, key):
        await driver.write("f/key", b"x")
        with pytest.raises(KeyNotFound):
            await driver.delete(key)

    async def test_a_local_path_is_the_file_with_the_bytes(self, driver):
        await driver.write("a/b", b"bytes")
        path = driver.local_path("a/b")
        assert path is None or await asyncio.to_thread(path.read_bytes) == b"bytes"

    @settings(max_examples=25, deadline=None, suppress_health_check=SHARED_DRIVER)
    @given(
        steps=st.lists(
            st.tuples(
                st.sampled_from(["write", "append", "move", "delete"]),
                st.sampled_from(["f/a", "f/b", "g/a/b"]),
                st.sampled_from(["f/a", "f/c", "g/a/c"]),
                st.integers(0, 4),
            ),
            max_size=15,
        )
    )
    async def test_any_sequence_of_calls_does_what_a_dictionary_would(self, driver, steps):
        root, model = f"example{next(NUMBERS)}", {}
        for verb, key, target, size in steps:
            expected = _apply(model, verb, key, target, size)
            actual = await outcome(_call(driver, verb, f"{root}/{key}", f"{root}/{target}", size))
            actual = None if isinstance(actual, tuple) else actual
            assert actual == expected, (verb, key, target, size)
        for key in ("f/a", "f/b", "f/c", "g/a/b", "g/a/c"):
            assert await outcome(driver.read(f"{root}/{key}")) == model.get(key, KeyNotFound)


async def outcome(call):
    """Return what a call returns, or the type of what it raises."""
    try:
        return await call
    except (KeyNotFound, WrongOffset) as error:
        return type(error)


def _call(driver: Driver, verb: str, key: str, target: str, size: int):
    match verb:
        case "write":
            return driver.write(key, content(size))
        case "append":
            return driver.append(key, size, b"x")
        case "move":
            return driver.move(Move(key, target, size))
    return driver.delete(key)


def _apply(model: dict[str, bytes], verb: str, key: str, target: str, size: int) -> type[Exception] | None:
    """Do to a dictionary what the contract says, and return the error it says."""
    if verb == "write":
        model[key] = content(size)
        return None
    if key not in model and not (verb == "append" and size == 0):
        return KeyNotFound
    if verb in ("append", "move") and len(model.get(key, b"")) != size:
        return WrongOffset
    if verb == "append":
        model[key] = model.get(key, b"") + b"x"
    elif verb == "move":
        model[target] = model.pop(key)
    else:
        del model[key]
    return None

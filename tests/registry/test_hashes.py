"""The hashes of an upload so far."""

import hashlib

import pytest

from registry_service.hashes import begin_hashes, update_all


@pytest.mark.parametrize("algorithms", [("sha256",), ("sha256", "sha512")])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_parts_count_as_the_whole(algorithms, kind):
    running = begin_hashes(*algorithms)
    running.update([b"ab", b"", b"cd"])
    update_all(running.hashes, kind(b"ef"))
    found = {name: digest.hex for name, digest in running.digests().items()}
    assert found == {name: hashlib.new(name, b"abcdef").hexdigest() for name in algorithms}
    assert (running.offset, running.state) == (0, None)

"""Counting the calls of Python functions that a service makes, from one signal to another."""

_PROGRAM = """
import signal, sys

result, calls = sys.argv[1], 0

def count(frame, event, argument):
    global calls
    if event == "call":
        calls += 1

def begin(number, frame):
    global calls
    calls = 0
    sys.setprofile(count)

def end(number, frame):
    sys.setprofile(None)
    with open(result, "w") as file:
        file.write(str(calls))

signal.signal(signal.SIGUSR1, begin)
signal.signal(signal.SIGUSR2, end)
"""


def counting(start: str) -> str:
    """Return a program that does `start`, Python source, and counts the calls of its main thread.

    It counts from SIGUSR1 to SIGUSR2, and then writes the number into the file that its first argument names.
    """
    return f"{_PROGRAM}\n{start}\n"

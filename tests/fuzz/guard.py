"""What reading a file may not do: run anything, take long, or take much memory."""

import codecs
import contextlib
import signal
import sys
import threading

import numpy.ma  # noqa: F401  NumPy imports it when it is first needed

SECONDS = 10.0  # for one file; the readers take milliseconds
ROOM = 1 << 30  # bytes that the process may grow by: an image of the size that is allowed takes half of that
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile", "os.remove", "os.rename",
    "os.rmdir", "os.mkdir", "subprocess.Popen", "pickle.find_class", "exec", "compile", "socket.connect", "ctypes.dlopen",
    "marshal.loads", "shutil.rmtree", "pty.spawn", "code.__new__", "function.__new__",
)  # fmt: skip


class Hang(BaseException):
    """Took too long.  Not an Exception, so that no reader takes it for a fault of the file."""


class Executed(BaseException):
    """Did something that no reader does."""


CODECS = ["utf_8_sig", "raw_unicode_escape", "unicode_escape", "cp1252", "latin_1"]
for _name in [*CODECS, *(f"utf_{width}{order}" for width in (16, 32) for order in ("", "_le", "_be"))]:
    codecs.lookup(_name)  # to import is to execute: what the readers import when they need it is imported here

_watched: set[int] = set()  # threads


def _watch(event, arguments):
    if _watched and threading.get_ident() in _watched:
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if writes or event in FORBIDDEN:
            _watched.clear()
            raise Executed(f"{event}{arguments!r:.200}")


_installed = []


@contextlib.contextmanager
def nothing_is_executed():
    """Python tells of every program, file and piece of code that is run (PEP 578)."""
    if not _installed:  # such a hook can never be taken away
        sys.addaudithook(_watch)
        _installed.append(True)
    _watched.add(threading.get_ident())
    try:
        yield
    finally:
        _watched.clear()


@contextlib.contextmanager
def in_time():
    """Raises ``Hang`` in the main thread of a system that has alarms."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_):
        raise Hang(f"took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def in_bounds():
    """Let the process grow by ``ROOM`` at most, where the system knows such a limit: more is a MemoryError."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, before[1]))
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

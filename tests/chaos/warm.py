"""Runs of the command line in processes that are forked from one which has imported everything.

Starting Python and importing PyTorch takes seconds, a tiny study less: a hundred kills would spend
their time on imports. Here controllers are forked from this server, and their workers by Python's
`forkserver`, which has imported the worker. Nothing else of the program is changed.
"""

import ctypes
import gc
import json
import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path


class Warm:
    """The server's other side: starts runs, waits for them, and knows their workers."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._forkserver = self._ask({})["forkserver"]
        """Another one where a controller was killed while it spoke to it: Python's then ends."""

    def _ask(self, question: dict) -> dict:
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(self, arguments: list[str], log: Path) -> int:
        """The process of a new run, the leader of a group of its own; its words go to `log`."""
        answer = self._ask({"arguments": arguments, "log": str(log)})
        self._forkserver = answer["forkserver"]
        return answer["pid"]

    def poll(self, pid: int) -> int | None:
        """The exit code of a run, None while it runs; asked again after its end, KeyError."""
        return self._ask({"poll": pid})["code"]

    def workers(self) -> list[int]:
        """The processes that run cells now, of whichever run."""
        path = Path(f"/proc/{self._forkserver}/task/{self._forkserver}/children")
        children = path.read_text().split() if path.exists() else []
        return [int(pid) for pid in children if _lives(pid)]

    def close(self) -> None:
        """End the server, and the `forkserver` with it."""
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()


def _lives(pid: str) -> bool:
    """Whether a process has not ended, or only waits for its parent to hear of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _serve() -> None:
    import segrisk.report.write
    import segrisk.study.run  # noqa: F401

    ours = os.dup(1)
    os.dup2(2, 1)
    multiprocessing.set_forkserver_preload(["segrisk.study.worker"])
    forkserver.ensure_running()
    known = forkserver._forkserver
    gc.freeze()
    for line in sys.stdin:
        question = json.loads(line)
        if "arguments" in question:
            forkserver.ensure_running()
            answer = {"pid": _fork(question), "forkserver": known._forkserver_pid}
        elif "poll" in question:
            pid, status = os.waitpid(question["poll"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if pid else None}
        else:
            answer = {"forkserver": known._forkserver_pid}
        os.write(ours, json.dumps(answer).encode() + b"\n")


def _fork(question: dict) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(1, 9)  # a run does not outlive the script
    log = os.open(question["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for own, other in ((0, null), (1, log), (2, log)):
        os.dup2(other, own)
    _use_the_forkserver()
    code = 1
    try:
        _main(question["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _use_the_forkserver() -> None:
    """Let the program's own way to start workers fork them from the server's `forkserver`."""
    from segrisk import processes

    context = multiprocessing.get_context("forkserver")
    processes.multiprocessing = type("Warm", (), {"get_context": staticmethod(lambda _: context)})
    # It is the parent's child, not ours: Python would ask after it by waiting for it.
    forkserver._forkserver.ensure_running = lambda: None


def _main(arguments: list[str]) -> None:
    from segrisk.cli import main

    sys.argv = ["segrisk", *arguments]
    main()


if __name__ == "__main__":
    _serve()

"""The child process of :mod:`controller.planner.planner`: jobs on standard input, answers on standard output.

It ignores SIGINT and SIGTERM, since its parent may still want an answer while it stops, and ends with its input.
"""

import os
import pickle
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from traceback import format_exc

from controller.planner.planner import SIZE, Failure, Job, pickle_frame
from controller.process.clocks import WallClock


def main() -> None:
    """Report readiness, then answer every job."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # solvers may print there
        jobs: SimpleQueue[bytes] = SimpleQueue()
        Thread(target=_receive, args=(jobs,), daemon=True).start()
        answer = pickle_frame(None)
        while True:
            answers.write(answer)
            answers.flush()
            answer = _answer(jobs.get())


def _receive(jobs: "SimpleQueue[bytes]") -> None:
    """Read jobs also while one is computed, so that the end of the input is noticed at once."""
    source = sys.stdin.buffer
    while len(header := source.read(SIZE.size)) == SIZE.size:
        jobs.put(source.read(*SIZE.unpack(header)))
    os._exit(0)


def _answer(pickled: bytes) -> bytes:
    try:
        job: Job = pickle.loads(pickled)
        return pickle_frame(job.run(WallClock()))
    except Exception as error:
        return pickle_frame(Failure.of(error, format_exc()))


if __name__ == "__main__":
    main()

"""``gridlab study tree``: many trees in processes of their own, each kept as soon as it is finished.

The folder of a study holds study.json, what was asked, and trees/N.json, a tree each. Tables, summary and report appear
when the last tree is there. A study that was interrupted goes on with the trees that are missing.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from controller.process.clocks import WallClock
from controller.process.files import replace_file
from controller.studies.trees.one_tree import StudiedTree, study_tree
from core.errors import Fault, InputError

STUDY, TREES = "study.json", "trees"
SEEDS_PER_STUDY = 10_000
LOOK_S = 0.3
"""How often the study looks whether it is to stop."""


@dataclass(frozen=True)
class AskedStudy:
    """What was asked; the seed of a tree follows from that of the study and from the number of the tree."""

    trees: int
    seed: int
    schema_version: int = 1

    def seed_of(self, tree: int) -> int:
        """Seed of a tree."""
        return SEEDS_PER_STUDY * self.seed + tree


ASKED: TypeAdapter[AskedStudy] = TypeAdapter(AskedStudy)
STUDIED: TypeAdapter[StudiedTree] = TypeAdapter(StudiedTree)
T = TypeVar("T")


class TreeStudy:
    """The folder of a study, and what is finished in it."""

    def __init__(self, folder: Path, asked: AskedStudy) -> None:
        self.folder, self.asked = folder, asked

    @classmethod
    def begin(cls, folder: Path, asked: AskedStudy) -> "TreeStudy":
        """A study in a folder, which may have finished trees of the same seed."""
        (folder / TREES).mkdir(parents=True, exist_ok=True)
        replace_file(folder / STUDY, ASKED.dump_json(asked), durable=False)
        return cls(folder, asked)

    @classmethod
    def resume(cls, folder: Path, trees: int | None = None) -> "TreeStudy":
        """A study that was begun before, with its own number of trees or another.

        Raises:
            InputError: there is none in the folder.
        """
        asked = _read(folder / STUDY, ASKED)
        return cls.begin(folder, replace(asked, trees=trees or asked.trees))

    @property
    def missing(self) -> list[int]:
        """Numbers of the trees that are not finished."""
        return [tree for tree in range(self.asked.trees) if not self._file(tree).exists()]

    def finished(self) -> Iterator[StudiedTree]:
        """The finished trees in order.

        Raises:
            InputError: a file is not as this version writes it.
        """
        for tree in range(self.asked.trees):
            if self._file(tree).exists():
                yield _read(self._file(tree), STUDIED)

    def run(self, jobs: int, stopping: Callable[[], bool], advance: Callable[[int], None]) -> bool:
        """Study the missing trees; returns whether all are finished.

        Args:
            jobs: number of processes.
            stopping: asked while trees are studied; true lets those end that have begun, and no more.
            advance: told the number of finished trees.

        Raises:
            SolverError: a program was not solved.
        """
        asked, work, finished = iter(self.missing), set[Future[None]](), self.asked.trees - len(self.missing)
        with ProcessPoolExecutor(jobs, get_context("spawn"), _ignore_interrupts) as pool:
            while not stopping():
                for tree in islice(asked, jobs - len(work)):
                    work.add(pool.submit(_study, tree, self.asked.seed_of(tree), self._file(tree)))
                if not work:
                    break
                done, work = wait(work, LOOK_S, FIRST_COMPLETED)
                for each in done:
                    each.result()
                finished += len(done)
                advance(finished)
        return not self.missing

    def _file(self, tree: int) -> Path:
        return self.folder / TREES / f"{tree:04d}.json"


def _read(path: Path, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            [Fault(str(path), "", "no readable file", "a study of trees, as this version writes it")]
        ) from error


def _study(tree: int, seed: int, path: Path) -> None:
    replace_file(path, STUDIED.dump_json(study_tree(tree, seed, WallClock())), durable=False)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the parent decides what ends."""
    signal(SIGINT, SIG_IGN)

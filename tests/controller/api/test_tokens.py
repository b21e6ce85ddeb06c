"""Tokens: made once, known by their hashes, readable by nobody else."""

from pathlib import Path

import pytest

from controller.api.tokens import Role, Tokens, token_of
from core.errors import InputError

GIVEN = "a-token-of-the-administrators-own-making"


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_they_are_made_once(tmp_path: Path) -> None:
    tokens = Tokens.of(tmp_path)
    made = {role: token_of(tmp_path, role) for role in Role}
    assert len(set(made.values())) == 2
    assert min(map(len, made.values())) >= 43
    assert Tokens.of(tmp_path) == tokens
    assert {role: token_of(tmp_path, role) for role in Role} == made
    assert {tokens.role_of(bearer(token)) for token in made.values()} == set(Role)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "tokens").iterdir()} == {0o600}
    assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o700


def test_the_service_keeps_hashes_alone(tmp_path: Path) -> None:
    tokens, token = Tokens.of(tmp_path), token_of(tmp_path, Role.OPERATOR)
    assert token not in repr(tokens)
    (tmp_path / "tokens" / "operator").unlink()
    assert Tokens.of(tmp_path).role_of(bearer(token)) is Role.OPERATOR
    with pytest.raises(InputError, match=r"operator: got No such file or directory; allowed: the token of the op"):
        token_of(tmp_path, Role.OPERATOR)


def test_another_token_takes_the_place_of_the_first(tmp_path: Path) -> None:
    Tokens.of(tmp_path)
    old = token_of(tmp_path, Role.VIEWER)
    (tmp_path / "tokens" / "viewer").write_text(f"{GIVEN}\n")
    for _ in range(2):
        tokens = Tokens.of(tmp_path)
        assert tokens.role_of(bearer(GIVEN)) is Role.VIEWER
        assert tokens.role_of(bearer(old)) is None


def test_systemd_hands_one_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "token_operator").write_text(GIVEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    tokens = Tokens.of(tmp_path)
    assert tokens.role_of(bearer(GIVEN)) is Role.OPERATOR
    assert token_of(tmp_path, Role.OPERATOR) == GIVEN
    assert sorted(path.name for path in (tmp_path / "tokens").iterdir()) == ["viewer", "viewer.sha256"]


@pytest.mark.parametrize("content", ["", "short", "x" * 257, "with a space in it, which no header can have"])
def test_what_is_no_token_is_said(tmp_path: Path, content: str) -> None:
    Tokens.of(tmp_path)
    (tmp_path / "tokens" / "viewer").write_text(content)
    with pytest.raises(InputError, match=r"viewer: got no token; allowed: 32 … 256 visible ASCII") as error:
        Tokens.of(tmp_path)
    assert not content or content not in str(error.value)


def test_a_damaged_hash_is_said(tmp_path: Path) -> None:
    Tokens.of(tmp_path)
    (tmp_path / "tokens" / "viewer").unlink()
    (tmp_path / "tokens" / "viewer.sha256").write_text("0" * 63)
    with pytest.raises(InputError, match=r"viewer\.sha256: got no hash; allowed: 64 hexadecimal digits"):
        Tokens.of(tmp_path)


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Tokens.of(tmp_path)
    (tmp_path / "tokens" / "operator").chmod(0o640)
    with pytest.raises(InputError, match=r"operator: got mode 640; allowed: 600"):
        Tokens.of(tmp_path)

"""Values are opened by the key that sealed them, as what they were sealed as, and by nothing else."""

import pytest

from mapi.domain.run import ExecutionId
from mapi.platform.keyring import Keyring, KeyringError, new_key_text
from mapi.platform.run_tokens import RunTokens

OLD, NEW = new_key_text(), new_key_text()


def keyring(*keys: str) -> Keyring:
    return Keyring.parse("\n".join(keys), "here")


def test_what_is_sealed_is_opened_again_and_is_not_readable_between() -> None:
    key_id, sealed = keyring(OLD).seal(b"hunter2", "me/token")
    assert b"hunter2" not in sealed
    assert keyring(OLD).unseal(key_id, sealed, "me/token") == b"hunter2"


def test_the_same_value_is_never_sealed_the_same() -> None:
    keys = keyring(OLD)
    assert keys.seal(b"hunter2", "me/token") != keys.seal(b"hunter2", "me/token")


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    before = keyring(OLD).seal(b"hunter2", "me/token")
    rotated = keyring(NEW, OLD)
    assert rotated.unseal(*before, "me/token") == b"hunter2"
    after = rotated.seal(b"hunter2", "me/token")
    assert after[0] != before[0]
    assert keyring(NEW).unseal(*after, "me/token") == b"hunter2"
    with pytest.raises(KeyringError, match=f"sealed with the key {before[0]}, which is not in the keyring"):
        keyring(NEW).unseal(*before, "me/token")


def test_what_was_changed_or_moved_to_another_owner_is_not_opened() -> None:
    keys = keyring(OLD)
    key_id, sealed = keys.seal(b"hunter2", "me/token")
    for changed, about in ((sealed, "you/token"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), "me/token")):
        with pytest.raises(KeyringError, match="not what was sealed"):
            keys.unseal(key_id, changed, about)


@pytest.mark.parametrize("text", ["", "short", "not/base64!", "AAAA"])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyringError, match=r"^MAPI_SECRET_KEY must hold keys") as caught:
        Keyring.parse(text, "MAPI_SECRET_KEY")
    assert not text or text not in str(caught.value)


def test_a_token_names_its_execution_after_a_restart_and_a_rotation_too() -> None:
    execution = ExecutionId("01a20de7-8437-7000-b92d-6053825c32c6", 2)
    token = RunTokens(keyring(OLD)).issue(execution)
    assert RunTokens(keyring(NEW, OLD)).execution(token) == execution


def test_a_token_that_was_made_up_is_none() -> None:
    tokens = RunTokens(keyring(OLD))
    token = tokens.issue(ExecutionId("a", 0))
    others = RunTokens(keyring(NEW)).issue(ExecutionId("a", 0))
    for made_up in (
        others,
        token.replace("run.a.0", "run.a.1"),
        token[:-1],
        token + "é",
        "run..",
        "run.a.0.",
        "",
    ):
        assert tokens.execution(made_up) is None

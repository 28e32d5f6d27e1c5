"""A folder onto the Hugging Face hub, with the official client: its login, its protocol. Blocks.

huggingface_hub is imported here, when it is needed, and nowhere else in the gateway: half a second.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import tenacity

from chorus.common.errors import ChorusError, InvalidInput, NotPermitted, Unavailable, in_short

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

TRIES = 5
UNAUTHORIZED, FORBIDDEN, TOO_MANY_REQUESTS, OUR_MISTAKES = 401, 403, 429, range(400, 500)  # HTTP

T = TypeVar("T")


def push(folder: Path, repo: str, *, public: bool, message: str) -> str:
    """Create the repository if it is not there, and commit all files of the folder; returns its address.

    Nothing is uploaded before the hub has said itself that the repository is private, unless it is to be
    public. Raises `NotPermitted` with `not_logged_in` or `not_private`, `InvalidInput` for what the hub
    refuses, and `Unavailable` if it cannot be reached or fails again and again.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    token = get_token()
    if not token:
        raise _not_logged_in()
    api = HfApi(token=token)
    try:
        created = _asked(lambda: api.create_repo(repo, private=not public, exist_ok=True))
    except HFValidationError:
        raise InvalidInput(
            f"{in_short(repo)!r} is no name for a repository. Write `you/name`.",
            code="invalid_repository",
            param="repo",
        ) from None
    private = _asked(lambda: api.repo_info(created.repo_id)).private
    if not (public or private is True):
        raise NotPermitted(
            f"{created.repo_id} is not private on the hub, so nothing was uploaded. Make it private in its "
            "settings, choose another name, or say `--public`.",
            code="not_private",
            param="repo",
        )
    _asked(lambda: _commit(api, created.repo_id, folder, message))
    return f"{api.endpoint}/{created.repo_id}, {'private' if private else 'public'}"


RETRYING = tenacity.Retrying(
    retry=tenacity.retry_if_exception(lambda error: isinstance(error, ChorusError) and error.retryable),
    stop=tenacity.stop_after_attempt(TRIES),
    wait=tenacity.wait_random_exponential(multiplier=0.5, max=8.0),  # seconds
    reraise=True,
)


def _asked(work: Callable[[], T]) -> T:
    """A call of the client, with its errors as ours; again, where the hub fails or the line is cut."""
    return RETRYING(lambda: _in_our_words(work))


def _in_our_words(work: Callable[[], T]) -> T:
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return work()
    except HfHubHTTPError as error:
        raise _told(error) from None
    except TransportError as error:
        raise Unavailable(
            f"The Hugging Face hub cannot be reached ({type(error).__name__}). Try again.",
            code="hub_unavailable",
        ) from None


def _commit(api: "HfApi", repo: str, folder: Path, message: str) -> None:
    """All files in one commit. What the hub has already is not sent again."""
    from huggingface_hub import CommitOperationAdd

    files = sorted(path for path in folder.iterdir() if path.is_file())
    operations = [CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=path) for path in files]
    api.create_commit(repo, operations, commit_message=message)


def _told(error: "HfHubHTTPError") -> ChorusError:
    """What the hub said, in our words."""
    status = error.response.status_code
    said = in_short(error.server_message or f"HTTP {status}")
    if status == TOO_MANY_REQUESTS or status not in OUR_MISTAKES:
        return Unavailable(f"The Hugging Face hub failed ({said}). Try again.", code="hub_unavailable")
    if status == UNAUTHORIZED:  # a token that is wrong, or has ended
        return _not_logged_in()
    if status == FORBIDDEN:
        return NotPermitted(
            f"Your Hugging Face login may not write there ({said}). Choose a repository of your own, or a "
            "token with the right to write.",
            code="hub_refused",
            param="repo",
        )
    return InvalidInput(f"The Hugging Face hub refuses this: {said}.", code="hub_refused", param="repo")


def _not_logged_in() -> NotPermitted:
    return NotPermitted(
        "You are not logged in to Hugging Face: `hf auth login`, or set HF_TOKEN to a token that may write.",
        code="not_logged_in",
    )

"""What must not be kept or printed: values of secret variables, passwords in addresses, files that hold keys."""

import os
import re

_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_SECRET_VARIABLE = re.compile(r"PASSWORD|SECRET|TOKEN|AUTH_STRING|API_KEY")
_MIN_LENGTH = 8  # a shorter value, such as "admin", would be struck from ordinary text
_PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")

_SECRET_FILE = re.compile(
    r"(^|/)(\.env[^/]*|secrets/.*|[^/]*(secret|credential|password)[^/]*(?<!\.py)|[^/]*\.(pem|key|p12|pfx))$",
    re.IGNORECASE,
)


def is_secret_file(path: str) -> bool:
    """Return whether the name of a file says that it holds secrets. Code about them, such as `secrets.py`, does not."""
    return _SECRET_FILE.search(path) is not None


def without_secrets(text: str) -> str:
    """Return a text in which secrets of the environment, passwords in addresses and AWS key ids are struck out."""
    for name, value in os.environ.items():
        if len(value) >= _MIN_LENGTH and (name in _VARIABLES or _SECRET_VARIABLE.search(name.upper())):
            text = text.replace(value, f"${name}")
    return _KEY_ID.sub("[key id]", _PASSWORD_IN_ADDRESS.sub("[password]", text))

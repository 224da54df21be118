"""Credentials inside text that others wrote: messages of events, of applications and of AWS quote them. Pure.

`without_credentials` is for what a person sees; a bundle leaves out more (`collect.redact`). Names of Kubernetes and
AWS, digests and prose stay as they are: the patterns ask for the form of a secret, and where a name alone announces
one, for "=" or for a quoted value behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

HIDDEN = "***"

# Texts are other people's and long: no pattern looks back or ahead without a bound, so that all take linear time.
# They stand here as text: `re` compiles each when it is first used, and keeps it.

# Words that announce a secret, as the end of a name: DB_PASSWORD, clientSecret, X-Amz-Security-Token, apiKey.
_WORDS = (
    r"passw(?:or)?d|passphrase|passwd|pwd|secrets?|tokens?|(?:api|access|account|private|secret|signing|encryption|"
    r"shared|auth|master|license|subscription)[_-]?key(?:[_-]?id)?|credentials?|signature|connection[_-]?string|"
    r"session[_-]?id|authorization|passcode|(?<![A-Za-z])(?:auth|sig|pass|pw|otp|session)"
)
_STRONG = (
    r"passw(?:or)?d|passphrase|passwd|pwd|(?:client|app)[_-]?secret|secret[_-]?key|access[_-]?token|refresh[_-]?token|"
    r"(?:api|access|account|private|secret)[_-]?key|(?:x-)?(?:api-key|auth-token|vault-token)|(?:set-)?cookie"
)
# A comma belongs to the value where no further key stands behind it.
_VALUE = (
    r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\\"[^\"\\]*\\\"|\[[^\]]{0,512}\]|\{[^}]{0,512}\}|"
    r"(?:[^\s\"'&;,<>)\]}|\\]|,(?![\w.-]{0,64}[=:])(?=[^\s\"'])(?!\\))+)"
)

_PRIVATE_KEY = r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
_JWT = r"\beyJ[\w-]{6,4096}\.[\w-]{4,}(?:\.[\w-]*)*"
_SCHEME = (
    r"(?i)\b(Bearer|Basic|AWS4-HMAC-SHA256|Negotiate)([ \t]+|%20)"
    r"(?!(?:tokens?|auth\w*|realm|credentials?|constraints|format|scheme|headers?|errors?|http\w*)\b)([\w.~+/=-]{6,}[^\s\"']*)"
)
_PAIR = rf"(?i)((?:{_WORDS}))([\"']?[ ]{{0,4}}(?:=>|:=|=|%3D|%3A)[ ]{{0,4}})({_VALUE})"
_QUOTED = rf"(?i)((?:{_WORDS})\\?[\"']\s{{0,8}}:\s{{0,8}})({_VALUE})"
_COLON = rf"(?i)((?:{_STRONG})\s{{0,8}}:(?!=)\s{{0,8}})({_VALUE})"
# What XML says: <password>X</password>.
_ELEMENT = rf"(?i)(<[\w:.-]{{0,64}}(?:{_STRONG}|secret|token)>)([^<]{{1,4096}})(?=<)"
_COOKIE = r"(?i)((?:set-)?cookie\s{0,8}:\s{0,8})([^\r\n\"']+)"
# Words behind which prose goes on: only a text of capitals, small letters and digits is no prose and no name.
_MIXED = r"(?-i:(?=[^\sA-Z]{0,64}[A-Z])(?=[^\sa-z]{0,64}[a-z])(?=[^\s\d]{0,64}\d))"
_PROSE = (
    r"(?i)"
    r"((?:passw(?:or)?d|passwd|passcode|passphrase|bindpw|secrets?|tokens?|bearer|(?:api|encryption|secret)[ _-]key|"
    r"authorization:\s{1,4}[A-Za-z]{1,16}|authorization)(?:[ ]is)?(?::\s{0,4}|[ ]{1,4}))"
    rf"(?![\"'])({_MIXED}[^\s\"',;]{{8,}})"
)
# Flags of command lines: --password X, and the short ones of clients that probes call (redis-cli -a X, mysql -pX).
_FLAG = rf"(?i)(--[\w-]{{0,32}}(?:passw(?:or)?d|passphrase|secret|token|api-key)[ ]+)(?!-)({_VALUE})"
_CLIENT = rf"(\b(?:sshpass|redis-cli|mysql\w*|mariadb[\w-]*|mongo\w*)\s(?:[^;|&\n]{{0,120}}?\s)?-[ap][ ]?)({_VALUE})"
_USER_FLAG = r"(\s(?:-u|--user)[ =]?[\w.@+-]{1,64}:)(?!\d+(?!\S))([^\s\"']+)"
_ORACLE = r"(?<=jdbc:oracle:)(\w{1,16}:[^\s/:@]{1,64})/([^\s@\"']{1,64})@"
_WEBHOOK = r"((?:hooks\.slack\.com/(?:services|workflows)|/api/webhooks)/)([\w/-]+)"
# A login before a host: scheme://user:password@host, and user:password@tcp(host:3306) without a scheme. The password
# may hold slashes and further signs; "@" of an image's digest is none.
_LOGIN = r"(?<=//)([^\s/:@\"']*):(?!\*\*\*@)([^\s\"'@]{1,256}(?:@[^\s\"'@/]{1,256}){0,3}?)@(?=[\w\[(.-])"
_BARE_LOGIN = r"(?<![\w/@.:-])([A-Za-z_][\w.-]*):(?!\*\*\*@)([^\s/:@\"'(),]{3,})@(?!sha\d+:)(?=[\w\[(])"
_LOGIN_NAME_ONLY = r"(?<=//)([A-Za-z0-9_~.-]{16,})@(?=[\w\[.-])"
_RUN = r"(?<![\w+/=-])[\w+/-]{32,}={0,2}(?![\w+/-])"
_PREFIXED = (
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|hv[sb]\.[\w-]{16,}|"
    r"[sr]k_(?:live|test)_\w{10,}|sk-(?:proj|ant|svcacct|admin)-[\w-]{12,}|sk-[A-Za-z0-9]{32,}|SG\.[\w-]{16,}\.[\w-]{16,}|"
    r"ya29\.[\w-]{16,}|dckr_pat_[\w-]{16,}|pypi-[\w-]{16,}|glsa_\w{16,}|shp(?:at|ss|ca)_\w{16,}|whsec_\w{16,}|AIza[\w-]{30,}|npm_\w{30,}|dop_v1_\w{30,})"
)


def without_credentials(text: str) -> str:
    """The text with *** in place of passwords, tokens, private keys and logins in it."""
    return replaced(text, lambda _: HIDDEN)


def replaced(text: str, token: Callable[[str], str]) -> str:
    """The text with `token(secret)` in place of each secret of its own form (a long random text), and *** in place of
    what a name or a scheme announces."""
    if len(text) < 6:
        return text
    text = re.sub(_PRIVATE_KEY, HIDDEN, text)
    if "://" in text or "@" in text:
        text = re.sub(_LOGIN, rf"\1:{HIDDEN}@", text)
        text = re.sub(_BARE_LOGIN, rf"\1:{HIDDEN}@", text)
        text = re.sub(_LOGIN_NAME_ONLY, f"{HIDDEN}@", text)
        text = re.sub(_ORACLE, rf"\1/{HIDDEN}@", text)
    text = re.sub(_JWT, HIDDEN, text)
    text = re.sub(_SCHEME, rf"\1\2{HIDDEN}", text)
    if "<" in text:
        text = re.sub(_ELEMENT, _hide_value, text)
    if "/" in text:
        text = re.sub(_WEBHOOK, _hide_value, text)
    if "=" in text or "%3" in text:
        text = re.sub(_PAIR, _hide_pair, text)
    if ":" in text:
        text = re.sub(_COOKIE, _hide_value, text)
        text = re.sub(_QUOTED, _hide_value, text)
        text = re.sub(_COLON, _hide_value, text)
    if "-" in text:
        text = re.sub(_CLIENT, _hide_value, re.sub(_FLAG, _hide_value, text))
        text = re.sub(_USER_FLAG, _hide_value, text)
    text = re.sub(_PROSE, _hide_value, text)
    text = re.sub(_PREFIXED, lambda match: token(match[0]), text)
    return re.sub(_RUN, lambda match: token(match[0]) if is_random(match[0]) else match[0], text)


def _hide_pair(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{_in_quotes(match[3])}"


def _hide_value(match: re.Match[str]) -> str:
    return f"{match[1]}{_in_quotes(match[2])}"


def _in_quotes(value: str) -> str:
    """*** in the quotes of a value, so that JSON stays JSON. A number, a boolean and a placeholder are no secrets."""
    if value in ("true", "false", "null", "0", "1", '""', "''", HIDDEN):
        return value
    quote = re.match(r"\\?[\"']", value)
    return f"{quote[0]}{HIDDEN}{quote[0]}" if quote else HIDDEN


def is_random(run: str) -> bool:
    """Whether this run of letters, digits and signs is a secret in base64, and no name: capitals, small letters and
    digits change often. (Names of AWS and of Kubernetes, written by people, change at the starts of words.)"""
    kinds = [_kind(sign) for sign in run if sign not in "/-_+="]
    if len(kinds) < 24 or not {"upper", "lower", "digit"} <= set(kinds):
        return False
    changes = sum(1 for one, other in pairwise(kinds) if one != other)
    return changes / len(kinds) >= 0.3


def _kind(sign: str) -> str:
    return "digit" if sign.isdigit() else "upper" if sign.isupper() else "lower"

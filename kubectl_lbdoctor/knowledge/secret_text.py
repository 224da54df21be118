"""Credentials inside text that others wrote: messages of events, of applications and of AWS quote them. Pure.

`without_credentials` is for what a person sees; a bundle leaves out more (`collect.bundles.redact`). Names of
Kubernetes and AWS, digests and prose stay as they are: the patterns ask for the form of a secret, and where a name
alone announces one, for "=" or for a quoted value behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

HIDDEN = "***"

# Texts are other people's and long: no pattern looks back or ahead without a bound, so that all take linear time.

# "password" in the languages that people name their settings in; the short ones are parts of other words.
_FOREIGN = (
    r"passwort|kennwort|contrase(?:ñ|n)a|mot[ _-]de[ _-]passe|palavra[ _-]passe|wachtwoord|пароль|"
    r"密码|密碼|口令|パスワード|비밀번호|l(?:ö|o)senord|salasana|adgangskode|jelsz(?:ó|o)|"
    r"(?<![^\W_])(?:mdp|clave(?: secreta)?|senha|has(?:ł|l)o|heslo|parola|(?:ş|s)ifre)"
)
# Words that announce a secret, as the end of a name: DB_PASSWORD, clientSecret, X-Amz-Security-Token, apiKey.
_WORDS = (
    r"passw(?:or)?d|pass[ _-]?phrase|passwd|pswd|pwd|secrets?|tokens?|(?:api|access|account|private|secret|signing|"
    r"encryption|shared|auth|master|license|subscription|pass|priv)[_-]?key(?:[_-]?id)?|credentials?|signature|"
    r"connection[_-]?string|session[_-]?id|phpsessid|authorization|passcode|hmac|code[_-]verifier|(?:bind|root|user)pw|"
    r"(?<![A-Za-z])(?:auth|sig|pass|pgpass|pw|psw|t?otp|mfa|pin(?:[_-]?code)?|cvv|session|salt|pepper|nonce|csrf|xsrf|jwt|"
    rf"saml|sas|creds?|bearer|geheim(?:nis)?)|{_FOREIGN}"
)
# What stands behind such a word in a name: SECRET_KEY_BASE, hmac_sha256, password2.
_TAIL = r"(?:[_-]?(?:base|sha[_-]?\d{1,3}|md5|value|plain|raw|b64|base64|old|new|\d{1,3}))?"
_STRONG = (
    r"passw(?:or)?d|pass[ _-]?phrase|passwd|pswd|pwd|(?:client|app)[_-]?secret|secret[_-]?key|access[_-]?token|"
    r"refresh[_-]?token|(?:api|access|account|private|secret)[_-]?key|(?:x-)?api-key|(?:set-)?cookie|"
    # An image may be called so: registry.example/auth-token:TAG.
    r"x-(?:auth|vault)-token|(?:auth|vault)-token(?=\s{0,8}[:：]\s)|"
    rf"bind_?pw|(?<![A-Za-z])x-csrf|{_FOREIGN}"
)
# Whose secret it is: password for user app, password (app), password[app].
_OF = r"(?:[ ](?:for|of)[ ](?:user[ ])?[\w.'\"@-]{1,64}|[ ]?\([^()\r\n]{1,64}\)|\[[^\[\]\r\n]{1,64}\])?"
_SPACE = r"(?:[ \xa0]|%20){0,4}"
_EQUALS = r"(?:[=-]>|→|:=|=|＝|%3D|%3A|&#61;|\\u003d)"
# A comma belongs to the value where no further key stands behind it.
_VALUE = (
    r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\\"[^\"\\]*\\\"|\[[^\]]{0,512}\]|\{[^}]{0,512}\}|"
    r"(?:[^\s\"'&;,<>)\]}|\\]|,(?![\w.-]{0,64}[=:])(?=[^\s\"'])(?!\\))+)"
)

_PRIVATE_KEY = re.compile(
    r"-{4,5}[ ]?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?[ ]?-{4,5}.*?"
    r"(?:-{4,5}[ ]?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?[ ]?-{4,5}|\Z)",
    re.DOTALL,
)
_JWT = re.compile(r"\beyJ[\w-]{6,4096}\.[\w-]{4,}(?:\.[\w-]*)*")
_SCHEME = re.compile(
    r"\b(Bearer|Basic|AWS4-HMAC-SHA256|Negotiate)([ \t]+|%20)"
    r"(?!(?:tokens?|auth\w*|realm|credentials?|constraints|format|scheme|headers?|errors?|http\w*)\b)([\w.~+/=-]{6,}[^\s\"']*)",
    re.IGNORECASE,
)
_PAIR = re.compile(rf"((?:{_WORDS}){_TAIL}{_OF})([\"']?{_SPACE}{_EQUALS}{_SPACE})({_VALUE})", re.IGNORECASE)
_QUOTED = re.compile(rf"((?:{_WORDS}){_TAIL}\\?[\"']\s{{0,8}}:\s{{0,8}})({_VALUE})", re.IGNORECASE)
_MAY_BE_PAIR = re.compile(_EQUALS, re.IGNORECASE)
# In YAML, the value may be the first of a list or stand in a block below.
_BELOW = r"(?:[|>][+-]?\s{1,64}|-[ \t]{1,4})?"
_COLON = re.compile(rf"((?:{_STRONG}){_TAIL}{_OF}\s{{0,8}}[:：](?!=)\s{{0,8}}{_BELOW})({_VALUE})", re.IGNORECASE)
_ENTITY = re.compile(rf"((?:{_WORDS}){_TAIL}&quot;\s{{0,8}}:\s{{0,8}}&quot;)([^&\s]{{1,512}})", re.IGNORECASE)
# A variable, an attribute or a setting with its name and its value apart: "name": "DB_PASSWORD", "value": "X".
_NAMED_VALUE = re.compile(
    rf"(\b(?:name|key)\\?[\"']?[ ]{{0,4}}[:=][ ]{{0,4}}\\?[\"']?[\w.-]{{0,64}}(?:{_WORDS}){_TAIL}\\?[\"']?[\s,]{{1,64}}"
    rf"\\?[\"']?value\\?[\"']?[ ]{{0,4}}[:=][ ]{{0,4}})({_VALUE})",
    re.IGNORECASE,
)
# Codes of some digits: your OTP is 482193, PIN code 4821.
_DIGIT_CODE = re.compile(
    r"((?<![^\W_])(?:pin|t?otp|mfa|cvv|cvc|passcode|one-time (?:code|password)|verification code)(?:[ _-]?code)?"
    r"(?:[ ](?:is|was|ist|lautet|es|est))?[ ]?[:=]?[ ]?[\"']?)(\d{3,10})(?!\w)",
    re.IGNORECASE,
)
# Settings and commands that a password follows.
_COMMAND = re.compile(rf"(\b(?:requirepass|masterauth|aws_secret_access_key)[ \t]{{1,8}})({_VALUE})", re.IGNORECASE)
# A line that is nothing but a name and a value.
_LINE = re.compile(
    r"^([ \t-]{0,64}[\w.-]{0,64}(?:pass|hmac|salt|pepper|otp|"
    r"(?:api|account|private|secret|signing|encryption|shared|auth|master)[_-]?key)"
    rf"{_TAIL}[ ]{{0,4}}:[ ]{{1,8}}{_BELOW})(?!\s)({_VALUE})(?=[ \t]*\r?$)",
    re.IGNORECASE | re.MULTILINE,
)
# A line that ends in such a word, and one below that is a single word.
_NEXT_LINE = re.compile(
    r"(\b(?:passw(?:or)?d|passwd|passphrase|passcode|secret[_ -]?key)[ \t]{0,4}[:=]?[ \t]{0,4}\r?\n[ \t]{0,64})"
    r"([^\s:=]{4,256})(?=[ \t]*(?:\r?\n|\Z))",
    re.IGNORECASE,
)
_NEXT_LINE_MIXED = re.compile(
    r"((?<![^\W_])(?:secret|token)[ \t]{0,4}[:=]?[ \t]{0,4}\r?\n[ \t]{0,64})()"
    r"((?=[A-Za-z]{0,64}\d)(?=\d{0,64}[A-Za-z])[A-Za-z0-9]{6,256})(?=[ \t]*(?:\r?\n|\Z))",
    re.IGNORECASE,
)
# password 'X', IDENTIFIED BY 'X'.
_SAID = re.compile(
    r"(\b(?:passw(?:or)?d|passwd|passphrase|passcode|identified by)[ ](?:(?:is|was)[ ])?|\b(?:pin|pw)[ ](?:is|was)[ ])"
    r"(\"[^\"\r\n]{1,256}\"|'[^'\r\n]{1,256}')",
    re.IGNORECASE,
)
# The passphrase is X, a token was X. What prose says of secrets has the same form, so that X has the form of no word
# (letters and digits, and none of the signs in names), or is a last word that is not said of secrets.
_IS = r"(?:[ ](?:is|was|are|were|ist|war|lautet|es|est)(?:[ ](?:now|set to|changed to))?|[ ]set to):?[ ]"
_QUOTE = r"(\\?[\"'`]?)"
_CLAUSE_ENDS = r"(?=[\"'`\\,;!?]|\.?(?:\s*\Z|[\r\n])|\.\s)"
_SECRET_NOUN = (
    r"passw(?:or)?d|passwd|pass[ _-]?phrase|passcode|secret|token|credentials?|hmac|"
    r"(?:api|encryption|secret|signing)[ _-]?key|"
    rf"(?<![^\W_])(?:pin(?:[ _-](?:code|number))?|otp|salt|pepper|pwd?|psw)|{_FOREIGN}"
)
# A word of letters and digits that is no part of a name.
_MIXED = r"(?=[^\s\d]{0,64}\d)(?=[^\sA-Za-z]{0,64}[A-Za-z])[^\s\"'`,;:<>()/._\\-]"
_NAME_ENDS = r"(?![\w/:_-]|\.\w)"
_IS_MIXED = re.compile(
    rf"((?:{_SECRET_NOUN}){_OF}{_IS}){_QUOTE}"
    r"(?!(?:sha|md|hs|rs|es|ps|utf-?|base|oauth|x|v|http)\d{1,4}\b)"
    rf"({_MIXED}{{5,64}}){_NAME_ENDS}",
    re.IGNORECASE,
)
_IS_WORD = re.compile(
    rf"((?:(?:passw(?:or)?d|passwd|pass[ _-]?phrase|passcode|(?<![^\W_])(?:pin(?:[ _-](?:code|number))?|pwd?)){_OF}"
    rf"{_IS}|(?<![^\W_])(?-i:PIN):[ ])){_QUOTE}([^\s\"'`,;:<>()/.!?\\]{{3,64}}){_CLAUSE_ENDS}",
    re.IGNORECASE,
)
_PASS_COLON = re.compile(
    r"((?<![^\W_])(?:pwd?|psw|pin)[ ]{0,4}:[ ]{1,4})()"
    rf"({_MIXED}{{4,64}}){_NAME_ENDS}",
    re.IGNORECASE,
)
_MAY_SAY = re.compile(r"[ ](?:is|was|are|were|ist|war|lautet|es|est|set)[ :]", re.IGNORECASE)
_WORDS_OF_PROSE = """
is are was were been has have had must may can cannot should will would does not never only too still
already also for from with without the this that and when missing required optional mandatory wrong bad good right
correct incorrect valid invalid okay fine empty blank null nil none unset set unknown known absent present there
here gone lost found not-found unchanged same different weak strong short long shorter longer old new older
newer stale fresh latest outdated stable secret public private safe unsafe secure insecure sensitive immutable
mutable readable unreadable plain plaintext clear hidden visible given taken written read sent shown seen stuck
out off active inactive ready pending due undefined uninitialized random unique ambiguous static dynamic
temporary permanent necessary unnecessary needed mine yours his hers theirs ours string false true yes
case-sensitive"""
_SAID_OF_SECRETS = frozenset(_WORDS_OF_PROSE.split())
_GOES_ON = frozenset(("is", "are", "was", "must", "not", "required", "missing"))
"""Words behind an arrow or a line's end with which prose goes on: password -> not set."""
_SAID_ENDS = ("ed", "ing", "able", "ible")
# What XML says: <password>X</password>.
_ELEMENT = re.compile(rf"(<[\w:.-]{{0,64}}(?:{_STRONG}|secret|token)>)([^<]{{1,4096}})(?=<)", re.IGNORECASE)
_COOKIE = re.compile(r"((?:set-)?cookie\s{0,8}:\s{0,8})([^\r\n\"']+)", re.IGNORECASE)
# Words behind which prose goes on: only a text of capitals, small letters and digits is no prose and no name.
_MIXED = r"(?-i:(?=[^\sA-Z]{0,64}[A-Z])(?=[^\sa-z]{0,64}[a-z])(?=[^\s\d]{0,64}\d))"
_NAMED_MIXED = re.compile(
    r"((?:(?<![\w-])|(?<=_))(?:key|code|iv|seed|sid|state|license|serial|ticket|private|pat|refresh|magic|assertion|dsn|"
    rf"chave|clé|schlüssel)[ ]?=[ ]?[\"']?)({_MIXED}[^\s\"'&;,]{{8,}})",
    re.IGNORECASE,
)
_PROSE = re.compile(
    r"((?:passw(?:or)?d|passwd|passcode|passphrase|bindpw|secrets?|tokens?|bearer|credentials?|(?-i:\bPASS|\bAUTH)|"
    r"(?:api|encryption|secret)[ _-]key|authorization:\s{1,4}[A-Za-z]{1,16}|authorization)"
    rf"{_OF}(?:[ ](?:is|was))?(?::\s{{0,4}}|[ \t|,]{{1,4}})[\"']?)(?![\"'])({_MIXED}[^\s\"',;]{{8,}})",
    re.IGNORECASE,
)
# Flags of command lines: --password X, and the short ones of clients that probes call (redis-cli -a X, mysql -pX).
_FLAG = re.compile(
    rf"(--[\w-]{{0,32}}(?:passw(?:or)?d|passwort|kennwort|passphrase|secret|token|api-key)[ ]+)(?!-)({_VALUE})",
    re.IGNORECASE,
)
_CLIENT = re.compile(
    rf"(\b(?:sshpass|redis-cli|mysql\w*|mariadb[\w-]*|mongo\w*)\s(?:[^;|&\n]{{0,120}}?\s)?-[ap][ ]?)({_VALUE})"
)
# -p means a port or a path for most programs: with a login before it, or where it is followed by what is no name and no
# number, it is a password.
_LOGIN_FLAG = re.compile(
    rf"(\s(?:login\b|-u[ =]?\S|--user(?:name)?[ =]\S)[^;|&\n]{{0,120}}?\s-p[ =]?)"
    rf"(?!\d+(?:[\s:/]|\Z)|/|[\s-])({_VALUE})"
)
_MIXED_FLAG = re.compile(rf"((?<!\S)-p[ =]?)(?![\"'])({_MIXED}[^\s\"',;/:]{{6,}})")
_SMB = re.compile(r"((?<!\S)-U[ =]?[\w.\\/+-]{1,64}%)([^\s\"']+)")
_USER_FLAG = re.compile(r"(\s(?:-u|--user)[ =]?[\w.@+-]{1,64}:)(?!\d+(?!\S))([^\s\"']+)")
_ORACLE = re.compile(r"(?<=jdbc:oracle:)(\w{1,16}:[^\s/:@]{1,64})/([^\s@\"']{1,64})@")
# Oracle's short form: user/password@host:port.
_EASY_CONNECT = re.compile(r"(?<![\w/.:@-])(\w{1,32}/)([^\s/:@\"']{3,64})(?=@(?!sha\d)[\w.-]{1,253}:\d{2,5}\b)")
_WEBHOOK = re.compile(r"((?:hooks\.slack\.com/(?:services|workflows)|/api/webhooks)/)([\w/-]+)")
# A login before a host: scheme://user:password@host, and user:password@tcp(host:3306) without a scheme. The password
# may hold slashes and further signs; "@" of an image's digest is none.
_LOGIN = re.compile(r"(?<=//)([^\s/:@\"']*):(?!\*\*\*@)([^\s\"'@]{1,256}(?:@[^\s\"'@/]{1,256}){0,3}?)@(?=[\w\[(.-])")
_BARE_LOGIN = re.compile(r"(?<![\w/@.:-])([A-Za-z_][\w.-]*):(?!\*\*\*@)([^\s/:@\"'(),]{3,})@(?!sha\d+:)(?=[\w\[(])")
_LOGIN_NAME_ONLY = re.compile(r"(?<=//)([A-Za-z0-9_~.-]{16,})@(?=[\w\[.-])")
_RUN = re.compile(r"(?<![\w+/-])[\w+/-]{32,}={0,2}(?![\w+/-])")
_PREFIXED = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|rt|dt|soat|ptt|cbt|ft)-[\w-]{16,}|"
    r"(?:xoxe\.)?xox[abcdeoprs]-[\w-]{10,}|xapp-\d-[\w-]{16,}|ATATT3[\w=-]{16,}|tskey-[a-z]{2,16}-[\w-]{12,}|"
    r"AGE-SECRET-KEY-1[A-Z0-9]{20,}|dp\.[a-z]{2,5}\.(?:[\w-]{1,40}\.)?[A-Za-z0-9]{20,}|hf_[A-Za-z]{30,}|lin_api_\w{30,}|hv[sb]\.[\w-]{16,}|"
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
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    if "://" in text or "@" in text:
        text = _LOGIN.sub(rf"\1:{HIDDEN}@", text)
        text = _BARE_LOGIN.sub(rf"\1:{HIDDEN}@", text)
        text = _LOGIN_NAME_ONLY.sub(f"{HIDDEN}@", text)
        text = _ORACLE.sub(rf"\1/{HIDDEN}@", text)
        text = _EASY_CONNECT.sub(_hide_value, text)
    text = _JWT.sub(HIDDEN, text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    if "<" in text:
        text = _ELEMENT.sub(_hide_value, text)
    if "/" in text:
        text = _WEBHOOK.sub(_hide_value, text)
    if _MAY_BE_PAIR.search(text):
        text = _PAIR.sub(_hide_pair, text)
        text = _NAMED_MIXED.sub(_hide_value, text)
    if ":" in text or "：" in text:
        text = _COOKIE.sub(_hide_value, text)
        text = _ENTITY.sub(_hide_value, _QUOTED.sub(_hide_value, text))
        text = _COLON.sub(_hide_value, text)
        text = _PASS_COLON.sub(_hide_said, _LINE.sub(_hide_value, text))
    if "\n" in text:
        text = _NEXT_LINE_MIXED.sub(_hide_said, _NEXT_LINE.sub(_hide_value, text))
    if "'" in text or '"' in text:
        text = _SAID.sub(_hide_value, text)
    if "-" in text:
        text = _CLIENT.sub(_hide_value, _FLAG.sub(_hide_value, text))
        text = _MIXED_FLAG.sub(_hide_value, _LOGIN_FLAG.sub(_hide_value, text))
        text = _SMB.sub(_hide_value, text)
        text = _USER_FLAG.sub(_hide_value, text)
    if "alue" in text or "ALUE" in text:
        text = _NAMED_VALUE.sub(_hide_value, text)
    text = _DIGIT_CODE.sub(_hide_value, _COMMAND.sub(_hide_value, text))
    text = _PROSE.sub(_hide_value, text)
    if _MAY_SAY.search(text) or "PIN:" in text:
        text = _IS_WORD.sub(_hide_word, _IS_MIXED.sub(_hide_said, text))
    text = _PREFIXED.sub(lambda match: token(match[0]), text)
    return _RUN.sub(lambda match: token(match[0]) if is_random(match[0]) else match[0], text)


def _hide_pair(match: re.Match[str]) -> str:
    goes_on = ">" in match[2] and match[3] in _GOES_ON
    return match[0] if goes_on else f"{match[1]}{match[2]}{_in_quotes(match[3])}"


def _hide_value(match: re.Match[str]) -> str:
    goes_on = "\n" in match[1] and match[2] in _GOES_ON
    return match[0] if goes_on else f"{match[1]}{_in_quotes(match[2])}"


def _hide_said(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{HIDDEN}"


def _hide_word(match: re.Match[str]) -> str:
    word = match[3].lower()
    return match[0] if word in _SAID_OF_SECRETS or word.endswith(_SAID_ENDS) else _hide_said(match)


def _in_quotes(value: str) -> str:
    """*** in the quotes of a value, so that JSON stays JSON. A number, a boolean and a placeholder are no secrets."""
    if value in ("true", "false", "null", "0", "1", '""', "''", HIDDEN):
        return value
    quote = re.match(r"\\?[\"']", value)
    return f"{quote[0]}{HIDDEN}{quote[0]}" if quote else HIDDEN


def is_random(run: str) -> bool:
    """Whether this run of letters, digits and signs is a secret in base64, and no name: capitals, small letters and
    digits change often. (Names of AWS and of Kubernetes, written by people, change at the starts of words.)

    Long words of one case are ids: the issuers of EKS end in 32 hexadecimal digits in capitals, and the names of
    CloudFormation in twelve capitals and digits (https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html).
    """
    words = [word for word in _WORD_ENDS.split(run) if len(word) < 8 or word not in (word.lower(), word.upper())]
    kinds = [_kind(sign) for word in words for sign in word]
    if len(kinds) < 20 or not {"upper", "lower"} <= set(kinds):
        return False
    changes = sum(1 for one, other in pairwise(kinds) if one != other) / len(kinds)
    if "digit" not in kinds:
        return len(run) == _AWS_SECRET and changes >= 0.4
    return changes >= 0.3


_AWS_SECRET = 40
"""Characters of a secret access key of AWS; one in some hundreds has no digit
(https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html)."""


_WORD_ENDS = re.compile(r"[/_=+-]")


def _kind(sign: str) -> str:
    return "digit" if sign.isdigit() else "upper" if sign.isupper() else "lower"

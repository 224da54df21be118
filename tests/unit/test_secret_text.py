"""Credentials in quoted messages are hidden, and what people have to read stays."""

from __future__ import annotations

import random
import string
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubectl_lbdoctor.collect.bundles.redact import Redactor
from kubectl_lbdoctor.knowledge.secret_text import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dial postgres://app:pw@db:5432/web: refused", "dial postgres://app:***@db:5432/web: refused"),
        ("open root:pw1@tcp(db:3306)/x", "open root:***@tcp(db:3306)/x"),
        ("redis://:pw@cache:6379", "redis://:***@cache:6379"),
        ("mongodb+srv://u:p%40s@h/x?authSource=a", "mongodb+srv://u:***@h/x?authSource=a"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is expired", "token *** is expired"),
        ("DB_PASSWORD=x1 HOST=db", "DB_PASSWORD=*** HOST=db"),
        ('{"password":"a b","host":"db"}', '{"password":"***","host":"db"}'),
        ("exec redis-cli -h db -a pw1 ping", "exec redis-cli -h db -a *** ping"),
        ("exec mysqladmin ping -ppw1", "exec mysqladmin ping -p***"),
        ("exec check --password pw1 --port 80", "exec check --password *** --port 80"),
        ("x?X-Amz-Signature=abc&y=1", "x?X-Amz-Signature=***&y=1"),
        ("DB_PASS=x1 pw=x2 passcode=x3", "DB_PASS=*** pw=*** passcode=***"),
        ("password=a,b user=c", "password=*** user=c"),
        ("password=a,user=c", "password=***,user=c"),
        ("Password  =  x1", "Password  =  ***"),
        ("password := 'x1'; password => \"x2\"", "password := '***'; password => \"***\""),
        ('{"password":["x1","x2"],"a":1}', '{"password":***,"a":1}'),
        ("<ns:password>x1</ns:password>", "<ns:password>***</ns:password>"),
        ("curl -u admin:x1 http://a/", "curl -u admin:*** http://a/"),
        ("sshpass -p x1 ssh a", "sshpass -p *** ssh a"),
        ("password Hunter2xQ9 is wrong", "password *** is wrong"),
        ("token: Hunter2xQ9", "token: ***"),
        ("Authorization: Token Hunter2xQ9", "Authorization: Token ***"),
        ("Cookie: sid=x1; other=x2", "Cookie: ***"),
        ("jdbc:oracle:thin:scott/x1@//db:1521/x", "jdbc:oracle:thin:scott/***@//db:1521/x"),
        ("https://hooks.slack.com/services/T02/B0/aB1", "https://hooks.slack.com/services/***"),
        ("key sk-proj-abcDEF123ghiJKL is revoked", "key *** is revoked"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nx1", "***"),
        (
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nx1\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\nafter",
            "***\nafter",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\\nx1\\n-----END OPENSSH PRIVATE KEY----- after", "*** after"),
        ("HMAC=x1 salt=x2 pepper=x3", "HMAC=*** salt=*** pepper=***"),
        ("hmac_sha256=x1", "hmac_sha256=***"),
        ("SECRET_KEY_BASE=x1", "SECRET_KEY_BASE=***"),
        ("password2=x1 token_old=x2", "password2=*** token_old=***"),
        ("user: app\n  pass: x1\nhost: db", "user: app\n  pass: ***\nhost: db"),
        ("DB_PASS: x1", "DB_PASS: ***"),
        ("salt: x1", "salt: ***"),
        ("signingKey: x1", "signingKey: ***"),
        ("password: |\n    x1\nuser: a", "password: |\n    ***\nuser: a"),
        ("passwords:\nclientSecret:\n- x1", "passwords:\nclientSecret:\n- ***"),
        ("enter the password\nx1y2\nthen", "enter the password\n***\nthen"),
        ("Password =\nx1y2", "Password =\n***"),
        ("password 'x1' is wrong", "password '***' is wrong"),
        ('wrong password "a b"', 'wrong password "***"'),
        ("CREATE USER a IDENTIFIED BY 'x1'", "CREATE USER a IDENTIFIED BY '***'"),
        ("secret 'Hunter2xQ9' rejected", "secret '***' rejected"),
        ("credential: Hunter2xQ9", "credential: ***"),
        ("AUTH Hunter2xQ9", "AUTH ***"),
        ("docker login -u app -p x1 reg.example", "docker login -u app -p *** reg.example"),
        ("check -u root -px1", "check -u root -p***"),
        ("tool -p Hunter2xQ9", "tool -p ***"),
        ("smbclient -U app%x1 //h/s", "smbclient -U app%*** //h/s"),
        ("connect scott/tiger9@db:1521/x", "connect scott/***@db:1521/x"),
        ("Server=db;User Id=sa;Pwd=x1;", "Server=db;User Id=sa;Pwd=***;"),
        ("GET /hook?key=Hunter2xQ9&a=b", "GET /hook?key=***&a=b"),
        ("xapp-1-A0123456789-0123456789 glrt-abcdefghij0123456789", "*** ***"),
        ("Passwort: a-b Kennwort=a-b", "Passwort: *** Kennwort=***"),
        ('{"contraseña": "a-b"} mdp=a-b', '{"contraseña": "***"} mdp=***'),
        ("mot de passe : a-b", "mot de passe : ***"),
        ("пароль=a-b 密码：a-b", "пароль=*** 密码：***"),
        ("pin=4821 PIN: 4821 totp=a-b", "pin=*** PIN: *** totp=***"),
        ("your OTP is 482193", "your OTP is ***"),
        ("PIN code 4821 rejected", "PIN code *** rejected"),
        ("pass-phrase=a-b pass phrase: a-b", "pass-phrase=*** pass phrase: ***"),
        ("password[app]=a-b password (app): a-b", "password[app]=*** password (app): ***"),
        ("password for user app: a-b", "password for user app: ***"),
        ("the password was Hunter2xQ9", "the password was ***"),
        ("password -> a-b", "password -> ***"),
        ("password%20%3D%20a-b", "password%20%3D%20***"),
        ("password\\u003da-b", "password\\u003d***"),
        ("&quot;password&quot;:&quot;a-b&quot;", "&quot;password&quot;:&quot;***&quot;"),
        ('<input name="password" value="a-b">', '<input name="password" value="***">'),
        ('{"name":"DB_PASSWORD","value":"a-b"}', '{"name":"DB_PASSWORD","value":"***"}'),
        ("- name: API_TOKEN\n  value: a-b", "- name: API_TOKEN\n  value: ***"),
        ("requirepass a-b", "requirepass ***"),
        ("csrf=a-b bindpw=a-b creds=a-b privkey=a-b", "csrf=*** bindpw=*** creds=*** privkey=***"),
        ("ticket=Hunter2xQ9 clé=Hunter2xQ9", "ticket=*** clé=***"),
        ("the pin is hunter2", "the pin is ***"),
        ("PIN is abcd", "PIN is ***"),
        ("PIN is 'abcd', try again", "PIN is '***', try again"),
        ("PIN was 4821, PIN-Code ist 4821", "PIN was ***, PIN-Code ist ***"),
        ("pw: hunter2", "pw: ***"),
        ("your PIN: abcd", "your PIN: ***"),
        ("passphrase is hunter2", "passphrase is ***"),
        ("the passphrase is correct-horse.", "the passphrase is ***."),
        ("password is `swordfish`; retry", "password is `***`; retry"),
        ("password is set to hunter2", "password is set to ***"),
        ("passphrase is: hunter2", "passphrase is: ***"),
        ("das Passwort ist hunter2", "das Passwort ist ***"),
        ("password:\nhunter2", "password:\n***"),
        ("password: \n  hunter2\nuser: x", "password: \n  ***\nuser: x"),
        ("token:\nhunter2x", "token:\n***"),
        ("token was hunter2", "token was ***"),
        ("the API key is hunter2 now", "the API key is *** now"),
        ("salt is hunter2, hmac is hunter2", "salt is ***, hmac is ***"),
        ("secret -> x1; token => x2", "secret -> ***; token => ***"),
        ("secret is hunter2", "secret is ***"),
    ],
)
def test_credentials_are_hidden(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
    assert without_credentials(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        'MountVolume.SetUp failed for volume "tls" : secret "web-tls" not found',
        "invalid bearer token, error looking up service account kube-system/x",
        "Bearer authentication is required",
        "failed to retrieve credentials: failed to refresh cached credentials, no EC2 IMDS role found",
        "WebIdentityErr: failed to retrieve credentials caused by: InvalidIdentityToken: no OpenIDConnect provider",
        "arn:aws:elasticloadbalancing:us-west-2:000000000001:targetgroup/k8s-shop-web-2bb8f1b8c3/08b20bf5baf4e10e",
        "arn:aws:iam::000000000001:role/AmazonEKSLoadBalancerControllerRole-us-west-2-production",
        "registry.example/app:1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "Readiness probe failed: HTTP probe failed with statuscode: 404",
        'Get "http://10.0.1.46:8080/healthz": dial tcp 10.0.1.46:8080: connect: connection refused',
        "the secret key is not set; check the password",
        "eksctl-prod-addon-iamserviceaccount-kube-system-Role1-1A2B3C4D5E6F7",
        "token=true password=",
        "docker run -u 1000:1000 x",
        "failed to get token: Unauthorized",
        'secrets "web-tls-2" is forbidden: User "system:serviceaccount:kube-system:x" cannot get resource "secrets"',
        "exec psql -p 5432 --secret-name db",
        "docker run -p 8080:80 -u app x",
        "ssh -u root -p 2222 host",
        "mkdir -p /var/Run1/app",
        "iptables -p tcp --dport 80",
        "key=app.kubernetes.io/name code=404 state=running",
        "two lines end in password\nand prose goes on",
        "arn:aws:iam::000000000001:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/7A7DEDFAAF9624BF5A1CB2FC88AD7BC0",
        "StackSet-AWSControlTowerBP-BASELINE-CONFIG-0fb77124-Role-BF2WO42HQEJ7",
        "the password is wrong; MFA is required; password for user app is required",
        "enclave: x86, pinning=on, mapping: 4821, shipping code 4821",
        "name: DB_PASSWORD is not set; value: 5",
        "Name=tag:kubernetes.io/role/elb, Value=1",
        "ticket=web-1 serial=7 refresh=true",
        "mutual TLS: x509: certificate signed by unknown authority",
        "spec.rules[0].http: Required value: must be at least one path",
        "registry.example/auth-token:1.2",
        "the pin is missing",
        "PIN is locked; the version pin is latest; pin: latest; PIN: required",
        "the pin is in the keyring, the pin is 1.2.3",
        "password is required",
        "the password is wrong. password was changed 3 days ago",
        "password is 8 characters",
        "password is stored in secret web-db-1",
        "password:\n  is required",
        "secret:\n  web-tls",
        "secret -> not found",
        "passphrase is incorrect!",
        "token is expired",
        "token was issued by https://issuer.example/1",
        "token is valid until 2026-01-01T00:00:00Z",
        "token is ES256, secret is sha256 of it",
        "token was refreshed by sts2",
        "the secret is web-tls-2",
        "secret is kubernetes.io/tls",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert without_credentials(text) == text


WORDS = (
    "web",
    "api",
    "shop",
    "token",
    "secret",
    "auth",
    "session",
    "login",
    "vault",
    "keycloak",
    "passthrough",
    "keys",
)
SEPARATORS = ("{}", "x {} y", "key: {}", "a/{}", '"{}"', "{},", "https://host.example/path/{}/x", "({})", "={}")


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length)


def capitals(length: int) -> st.SearchStrategy[str]:
    return st.text(string.ascii_uppercase + string.digits, min_size=length, max_size=length)


names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("-".join)
uids = st.tuples(*map(hexadecimal, (8, 4, 4, 4, 12))).map("-".join)
pod_ends = st.text("bcdfghjklmnpqrstvwxz2456789", min_size=5, max_size=5)
diagnostics = st.one_of(
    st.builds(
        "arn:aws:elasticloadbalancing:us-west-2:1:targetgroup/k8s-shop-{}-{}/{}".format,
        names,
        hexadecimal(10),
        hexadecimal(16),
    ),
    st.builds("arn:aws:elasticloadbalancing:r:1:listener-rule/app/{}/{}/{}/{}".format, names, *[hexadecimal(16)] * 3),
    st.builds("{}-{}-{}".format, names, hexadecimal(10), pod_ends),
    st.builds("registry.example/{}@sha256:{}".format, names, hexadecimal(64)),
    st.builds("registry.example/{}:{}".format, names, hexadecimal(40)),
    st.builds("containerd://{}".format, hexadecimal(64)),
    st.builds("k8s-shop-{}-{}.us-west-2.elb.amazonaws.com".format, names, hexadecimal(10)),
    st.builds("ip-10-0-{}-{}.us-west-2.compute.internal".format, st.integers(0, 255), st.integers(0, 255)),
    st.builds("oidc.eks.us-west-2.amazonaws.com/id/{}:aud".format, hexadecimal(32).map(str.upper)),
    st.builds("arn:aws:iam::1:role/eksctl-prod-addon-iamserviceaccount-kube-system-Role1-{}".format, capitals(13)),
    st.builds("assumed-role/AWSReservedSSO_AdministratorAccess_{}/{}".format, hexadecimal(16), names),
    st.builds("RequestID: {}".format, uids),
    st.builds("vpc-{} subnet-{} sg-{} eni-{}".format, *[hexadecimal(17)] * 4),
    st.builds('secret "{}" not found'.format, names),
    st.builds("token of {} is invalid: {}".format, names, uids),
    st.builds("psql -p {} -h {}".format, st.integers(1, 65535), names),
    st.builds("app.kubernetes.io/name={}".format, names),
    st.builds("key={}".format, names),
)


@example(f"registry.example/auth-token:{'0' * 40}")
@example(f"psql -p 1 -h token; oidc.eks.us-west-2.amazonaws.com/id/{'0' * 28}A000:aud")
@example("auth-secret-secret; assumed-role/AWSReservedSSO_AdministratorAccess_1273299335d18bf9/web")
@given(st.lists(diagnostics, min_size=1, max_size=3).map("; ".join))
def test_what_diagnoses_are_made_of_stays(text: str) -> None:
    assert without_credentials(text) == text


def shape(prefix: str, alphabet: str, length: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=length, max_size=length).map(lambda made: prefix + made)


WORD_SIGNS = string.ascii_letters + string.digits
shapes = st.one_of(
    *(
        shape(prefix, WORD_SIGNS, 36)
        for prefix in ("ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "npm_", "sk_live_")
    ),
    *(
        shape(prefix, WORD_SIGNS, 24)
        for prefix in ("xoxb-1234567890-", "xoxp-", "xapp-1-", "hvs.", "SG.abcdefghijklmnop.")
    ),
)


@given(shapes, st.sampled_from(SEPARATORS))
def test_tokens_of_known_shapes_are_hidden(secret: str, around: str) -> None:
    assert secret not in without_credentials(around.format(secret))


def test_secret_access_keys_of_aws_are_hidden() -> None:
    """40 characters of base64 without a name before them; nearly all, for one that looks like a name is none."""
    chance = random.Random(1)
    keys = ["".join(chance.choices(WORD_SIGNS + "+/", k=40)) for _ in range(500)]
    for around in SEPARATORS:
        assert sum(key in without_credentials(around.format(key)) for key in keys) <= 1, around


secret_values = st.text(WORD_SIGNS + "!#$%*+-.~", min_size=6, max_size=30).filter(
    lambda value: value[0].isalpha() and value.lower() not in ("string", "required")
)
ANNOUNCED = (
    *("password={}", "PGPASSWORD={} psql", "salt={}", "HMAC={}", "client_secret={};", "&api_key={}&", "?token={}"),
    *(
        '{{"password":"{}"}}',
        '{{"db_password" : "{}"}}',
        '{{\\"token\\":\\"{}\\"}}',
        "password: {}",
        "  passphrase: '{}'",
    ),
    *("password:\n  {}", "password: |\n  {}", "--password {}", "--token={}", "redis-cli -a {} ping", "//u:{}@host:1/x"),
    *(
        "user=u password={} sslmode=x",
        "Pwd={};",
        "curl -u admin:{} x",
        "docker login -u a -p {} x",
        "<password>{}</password>",
    ),
)


@given(secret_values, st.sampled_from(ANNOUNCED))
def test_what_is_announced_as_a_secret_is_hidden(secret: str, form: str) -> None:
    shown = without_credentials(form.format(secret))
    assert secret not in shown, shown


HOSTILE = """
1 a %a //a: eyJ- a? a123456789012 password password:_ a= @a. a: "a :: 1-1- 0123_ Bearer_ A1b token=' a.b@ 1.1.1.1 ?=
mysql_ --token_ secret\\" -p_ _-u_a_-p password:_| a/b@ _-U_a%b pass:_ key= pin_is_a pw:_1a token_was_1 secret_is:_
password\n_ -----BEGIN_A_PRIVATE_KEY-----"""


@pytest.mark.parametrize("piece", [word.replace("_", " ") for word in HOSTILE.split()])
def test_long_hostile_texts_take_no_time(piece: str) -> None:
    text = f"@ :// = : {piece * (60_000 // len(piece))}"
    started = time.process_time()
    Redactor()(text)
    assert time.process_time() - started < 4

"""The words of a command line are taken apart as kubectl takes them apart."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.cli import cli
from kubectl_lbdoctor.flags import options_of
from kubectl_lbdoctor.options import Options
from tests.support.cloud import Cloud
from tests.support.program import run


def read(*words: str) -> Options:
    """The options that these words before a command make."""
    context = cli.make_context("kubectl lbdoctor", [*words, "version"], obj={"flags": {}})
    return options_of(context, context.params)


@pytest.mark.parametrize(
    "words",
    [("-n=shop",), ("-nshop",), ("-n", "shop"), ("--namespace=shop",), ("--namespace", "shop"), ("-n=a", "-n=shop")],
)
def test_a_flag_with_a_value(words: tuple[str, ...]) -> None:
    assert read(*words).kube.namespace == "shop"


def test_all_short_flags_take_an_equals_sign() -> None:
    options = read("-n=shop", "-s=https://x", "-o=json", "-v=3", "-y=true")
    assert (options.kube.namespace, options.kube.server) == ("shop", "https://x")
    assert (options.output.format, options.output.level, options.change.yes) == ("json", 3, True)


def test_short_flags_in_one_word() -> None:
    options = read("-ynshop")
    assert (options.change.yes, options.kube.namespace) == (True, "shop")


def test_an_empty_value_is_none_given() -> None:
    assert read("--namespace=").kube.namespace == read("-n", "shop", "--namespace=").kube.namespace == ""
    assert read("--kubeconfig=", "--certificate-authority=").kube.kubeconfig == ""


def test_a_value_may_look_like_a_flag() -> None:
    assert read("-n", "-v=6").kube.namespace == "-v=6"
    assert read("-n=-x", "--as=--y=z").kube.as_user == "--y=z"


@pytest.mark.parametrize(
    ("words", "on"),
    [
        (("--insecure-skip-tls-verify",), True),
        (("--insecure-skip-tls-verify=true",), True),
        (("--insecure-skip-tls-verify=false",), False),
        (("--insecure-skip-tls-verify", "--insecure-skip-tls-verify=false"), False),
        (("--insecure-skip-tls-verify=0", "--insecure-skip-tls-verify=T"), True),
    ],
)
def test_switches(words: tuple[str, ...], on: bool) -> None:
    assert read(*words).kube.insecure_skip_tls_verify is on


def test_a_switch_that_is_neither() -> None:
    result = run("--yes=perhaps", "ing", "web")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("error: --yes is a switch: 'perhaps' is neither true nor false")


@pytest.mark.parametrize("words", [("-v", "6"), ("-v6",), ("-v=6",), ("--v", "6"), ("--v=6",), ("-v", "1", "-v=6")])
def test_a_log_level(words: tuple[str, ...]) -> None:
    output = read(*words).output
    assert (output.level, output.verbose) == (6, True)


@pytest.mark.parametrize("words", [("-v",), ("--v",), ("--verbose",), ("-v", "-n", "x")])
def test_verbose_without_a_level(words: tuple[str, ...]) -> None:
    output = read(*words).output
    assert (output.level, output.verbose) == (0, True)


def test_level_0_tells_nothing_more() -> None:
    assert read("-v=0").output.verbose is read("-v", "6", "-v=0").output.verbose is False


def test_a_level_that_is_none() -> None:
    result = run("ing", "web", "-v=loud")
    assert result.status == 2 and "'loud' is not a valid integer" in result.stderr


def test_lists_before_and_after_the_command_are_one(cloud: Cloud) -> None:
    run("--as=eve", "--as-group=a", "ing", "web", "--as-group=b", env=cloud.env)
    assert run("--fix", "nonsense", "ing", "web", "--fix", "other", env=cloud.env).stderr.count("nonsense") == 1


def test_words_that_are_no_flags_stay_where_they_are(cloud: Cloud) -> None:
    """-v takes a number only: a name behind it stays a name."""
    assert run("-v", "ing/web", env=cloud.env).status == 0
    assert run("ing", "-v", "web", "-n=shop", env=cloud.env).status == 0
    assert "--" not in run("ing", "--", "-web", env=cloud.env).stdout


@pytest.mark.parametrize("level", ["-v", "--verbose", "-v=6", "-v=10"])
def test_a_mistake_is_a_sentence_at_every_level(level: str, cloud: Cloud) -> None:
    for words in (("ing/nope",), ("ing", "web", "--context", "nope"), ("undo", "nope.json"), ("explain", "nope")):
        result = run(*words, level, env=cloud.env)
        assert result.status in (2, 4), words
        assert "Traceback" not in result.stderr and "error: " in result.stderr


def test_kubectl_s_own_flags_are_taken_and_not_shown() -> None:
    words = ("--cache-dir=x", "--match-server-version", "--disable-compression=true", "--warnings-as-errors")
    words += ("--kuberc", "x", "--profile-output=x", "--log-flush-frequency=5s", "--vmodule=x=1")
    assert read(*words).kube == read().kube or read(*words).kube.context == ""
    shown = run("options").stdout
    assert "--token" in shown and "--cache-dir" not in shown
    assert "--cache-dir" not in run("ing", "--help").stdout

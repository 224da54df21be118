"""The flags of `options` in click's terms: which command takes which, their help under headings, and what they say.

A flag may stand before the subcommand or after it; one that the subcommand does not take is refused by name in both
places. As with kubectl, the help of a command shows the flags that are its own, and `options` those of the connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from kubectl_lbdoctor.arguments import canonical
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.options import GROUPS, Flag, KubeOptions, Options
from kubectl_lbdoctor.render.formats import FORMATS, Result, format_of, formats_of
from kubectl_lbdoctor.suggestions import likely, question

FORMAT, HEADERS, VERBOSE, YES = "output.format", "output.no_headers", "output.verbose", "change.yes"
"""Flags by their names in `take`: GROUP.FIELD."""


if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _ParamType = click.ParamType[str]
else:  # Generic for type checkers only: click 8.2 knows no parameter of it.
    _ParamType = click.ParamType

_COMMON = ("Connection", "AWS")
"""Headings of the flags that nearly every command takes: they have a page of their own."""


_HYPHEN = "\u2011"
"""Stands for "-" while lines are broken, so that no flag and no format is torn at one."""


class Output(_ParamType):
    """What may stand behind -o. choices: the names of the formats."""

    name = "format"

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The value as it is. Raises UsageError for what is no format of this command."""
        output = str(value)
        format_of(output)
        if output.partition("=")[0] not in self.choices:
            raise UsageError(
                f"-o {output.partition('=')[0]} is not an output of {ctx.info_name if ctx is not None else 'it'}",
                f"use {', '.join(self.choices)}",
            )
        return output

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """The formats that are whole as they are; where none begins so, those that go on behind a "="."""
        from click.shell_completion import CompletionItem

        found = [name for name in self.choices if name.startswith(incomplete)]
        whole = [CompletionItem(name) for name in found if not FORMATS[name].argument]
        return whole or [CompletionItem(f"{name}=", nospace=True) for name in found]


_NO_KUSTOMIZE = ("kubectl builds kustomizations", "kubectl kustomize DIR | kubectl lbdoctor -f -")
_NO_LABELS = ("the tables are about targets, and targets have no labels", "kubectl get ing --show-labels")
_NO_STREAM = ("a scan that goes on tells what changes", "to watch: kubectl lbdoctor scan -w")
REFUSED: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("-k", "--kustomize"), _NO_KUSTOMIZE),
    **dict.fromkeys(("-L", "--label-columns", "--show-labels"), _NO_LABELS),
    **dict.fromkeys(("--watch-only", "--output-watch-events"), _NO_STREAM),
    "--all": ("all of a namespace is meant where no name is given", "kubectl lbdoctor ing"),
    "--sort-by": (
        "root causes stand in the order of their severity, targets with the failing ones first",
        "another order: kubectl lbdoctor ing/NAME -o json | jq '.diagnoses | sort_by(.code)'",
    ),
    "--show-kind": ("objects are always shown with their kind", "leave it out"),
    "--ignore-not-found": (
        "an object that does not exist is never passed over",
        "of several names those that exist are diagnosed, and exit status 4 tells of the others",
    ),
    "--template": ("a template stands behind its format", "write -o go-template=TEMPLATE or -o jsonpath=TEMPLATE"),
    "--allow-missing-template-keys": (
        "a missing field is always empty in a template, as it is by default",
        "leave it out",
    ),
    "--show-managed-fields": ("documents hold the diagnosis and no objects", "kubectl get --show-managed-fields"),
    "--chunk-size": ("lists are always read in pages", "leave it out"),
    "--server-print": ("the tables are its own, not those of the API server", "leave it out"),
    "--subresource": ("what is needed of an object is read without it", "kubectl get --subresource"),
    "--raw": ("it asks only what a diagnosis needs", "kubectl get --raw PATH"),
    **dict.fromkeys(
        ("-q", "--quiet"), ("the exit status tells the result to programs", "kubectl lbdoctor ing/NAME >/dev/null")
    ),
}
"""Flags that no command takes, and that people type because `kubectl get` or other programs take them, each with the
reason and what to do instead."""

_ELSEWHERE: Mapping[str, str] = {
    "--all-namespaces": "all namespaces at once: kubectl lbdoctor scan -A",
    "--watch": "to watch: kubectl lbdoctor scan -w",
}
"""What to do instead where a command does not take a flag that people expect of it."""

_WITH = {VERBOSE: "output.level", "kube": "kubectl_only"}
"""What a command takes, too, where it takes one of these."""


class _Option(click.Option):
    """A flag that knows its heading in the help."""

    heading = ""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """What the value can be: one of the choices, else what is known of this flag, else a file where it is one."""
        from kubectl_lbdoctor.completion.values import of_flag

        found = of_flag(self.name or "", incomplete, typed(ctx).kube, ctx.obj["env"].variables)
        if found is not None:
            return found
        if self.metavar == "FILE":
            from click.shell_completion import CompletionItem

            return [CompletionItem(incomplete, type="file")]
        return super().shell_complete(ctx, incomplete)


def _option(name: str, flag: Flag, default: object, heading: str) -> _Option:
    settings: dict[str, Any] = {"help": flag.help, "metavar": flag.metavar or None, "hidden": flag.hidden}
    if isinstance(default, bool):
        settings["is_flag"] = True
    elif isinstance(default, tuple):
        settings["multiple"] = True
    elif isinstance(default, int):
        settings["type"] = click.INT
    elif flag.choices:
        settings["type"] = click.Choice(flag.choices)
    elif flag.metavar == "FILE" and heading != KubeOptions.heading:  # kubectl takes --kubeconfig= for not given
        settings["callback"] = _named_file
    made = _Option([*flag.names, name.replace(".", "_")], **settings)
    made.heading = heading
    return made


def _named_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value == "":
        raise click.BadParameter("it names no file", ctx, param)
    return value


_FIELDS = {f"{group}.{field.name}": (field, record) for group, record in GROUPS.items() for field in fields(record)}
_LONG: Mapping[str, str] = {
    name: max(field.metadata["flag"].names, key=len)
    for field, _ in _FIELDS.values()
    for name in field.metadata["flag"].names
}
"""The longest name of each flag, by all of its names."""
_SHARED = {
    name: _option(name, field.metadata["flag"], field.default, record.heading)
    for name, (field, record) in _FIELDS.items()
    if name != FORMAT
}


def take(*names: str, result: Result | None = None) -> list[click.Parameter]:
    """The options of these groups (GROUP) and single flags (GROUP.FIELD), for a command that prints `result`; None
    where the command is not known yet: -o then takes every format."""
    wanted = {*names, *(_WITH[name] for name in names if name in _WITH)}
    taken: list[click.Parameter] = []
    for name, (field, record) in _FIELDS.items():
        if name not in wanted and name.partition(".")[0] not in wanted:
            continue
        if name == FORMAT:
            offered = formats_of(result) if result is not None else tuple(FORMATS)
            written = (f"{name}={FORMATS[name].argument}" if FORMATS[name].argument else name for name in offered)
            flag = field.metadata["flag"]
            made = _option(name, flag._replace(help=flag.help.format(", ".join(written))), "", record.heading)
            made.type = Output(offered)
            taken.append(made)
        else:
            taken.append(_SHARED[name])
    return taken


def options_of(ctx: click.Context, values: dict[str, Any]) -> Options:
    """The flags of the group, overridden by those of the subcommand; of a flag that is repeated, both count."""
    before, after = _given(ctx.obj["flags"]), _given(values)
    lists = {name: (*before[name], *value) for name, value in after.items() if isinstance(before.get(name), tuple)}
    options = _options({**before, **after, **lists})
    if "env" in ctx.obj:
        ctx.obj["env"].colour_choice = options.output.colour
    return options


def typed(ctx: click.Context) -> Options:
    """The flags on a command line that is still being typed: those before the command and after it."""
    given: dict[str, Any] = {}
    for context in (ctx.find_root(), ctx):
        given.update(_given(context.params))
    return _options(given)


def _options(given: dict[str, Any]) -> Options:
    if given.get("output_level", 0) > 0:
        given["output_verbose"] = True
    groups: dict[str, Any] = {}
    for group, record in GROUPS.items():
        parameters = {field.name: f"{group}_{field.name}" for field in fields(record)}
        groups[group] = record(**{field: given[name] for field, name in parameters.items() if name in given})
    return Options(**groups)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value is not False and value != ()}


class _Sections:
    """Help with examples and with the flags under their headings, and words about flags that do not exist."""

    headings: Collection[str] | None = None
    """The headings that the help shows, None for all but the common ones."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with guesses that are near. Raises UsageError for a flag that no command takes on purpose."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]
        except click.NoSuchOption as error:
            name = error.option_name
            if name in REFUSED:
                reason, hint = REFUSED[name]
                raise UsageError(f"{name} is not taken: {reason}", hint) from None
            known = [n for p in self.get_params(ctx) for n in p.opts if n.startswith("--")]  # type: ignore[attr-defined]
            message = f"No such option: {name}. {question(likely(name, known))}".rstrip()
            raise click.NoSuchOption(name, message, ctx=ctx) from None

    def get_help(self, ctx: click.Context) -> str:
        """The whole help."""
        return super().get_help(ctx).replace(_HYPHEN, "-")  # type: ignore[misc,no-any-return]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the line of usage, without the name of a command that nobody types."""
        formatter.write_usage(path_of(ctx), " ".join(self.collect_usage_pieces(ctx)))  # type: ignore[attr-defined]

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write nothing: what the arguments are stands in the line of usage, and the examples show it."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the flags of each heading in the order of the groups, then --help."""
        self._format_examples(ctx, formatter)
        self._format_flags(ctx, formatter)

    def _format_flags(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        common = False
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            heading = getattr(param, "heading", "Options")
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is None:
                continue
            if heading in self.headings if self.headings is not None else heading not in _COMMON:
                sections.setdefault(heading, []).append((record[0], record[1].replace("-", _HYPHEN)))
            common = common or heading in _COMMON
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
        if common and self.headings is None:
            formatter.write_paragraph()
            formatter.write_text(f'Use "{_program(ctx)} options" for the flags of the connection and of AWS.')

    def _format_examples(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from kubectl_lbdoctor.examples import EXAMPLES

        examples = EXAMPLES.get((ctx.command.name or "") if ctx.parent is not None else "", ())
        if examples:
            with formatter.section("Examples"):
                for what, line in examples:
                    comment = f"  # {what}\n" if what else ""
                    formatter.write(f"{comment}  {line}\n")


def path_of(ctx: click.Context) -> str:
    """What is typed up to the command of this context: a hidden one is not typed."""
    return path_of(ctx.parent) if ctx.parent is not None and ctx.command.hidden else ctx.command_path


def _program(ctx: click.Context) -> str:
    return ctx.find_root().info_name or ""


class Command(_Sections, click.Command):
    """A command that refuses the flags of others by name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does. Raises UsageError for a known flag that is none of this command's, wherever it stands."""
        try:
            rest = super().parse_args(ctx, canonical(args, self.get_params(ctx), whole=True))
        except click.NoSuchOption as error:
            if error.option_name not in _LONG:
                raise
            raise self._refusal(ctx, [error.option_name]) from None
        before = _given((ctx.obj or {}).get("flags", {}))
        own = {param.name for param in self.params}
        foreign = [
            _LONG[field.metadata["flag"].names[0]]
            for name, (field, _) in _FIELDS.items()
            if name.replace(".", "_") in before and name.replace(".", "_") not in own
        ]
        if foreign:
            raise self._refusal(ctx, foreign)
        return rest

    def _refusal(self, ctx: click.Context, names: list[str]) -> UsageError:
        hidden = ctx.command.hidden
        who = "a diagnosis" if hidden else ctx.info_name
        elsewhere = (_ELSEWHERE[_LONG[name]] for name in names if _LONG[name] in _ELSEWHERE)
        hint = next(elsewhere, f"see {path_of(ctx)} --help")
        return UsageError(f"{who} takes no {' and no '.join(names)}", hint)


class Group(_Sections, click.Group):
    """Commands, and the flags of all of them, which may stand before a command too. Its help shows none of these."""

    command_class = Command
    headings = ("Options",)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the words up to the name of a command written as kubectl reads them."""
        return super().parse_args(ctx, canonical(args, self.get_params(ctx), whole=False))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the commands, and where the flags are."""
        self._format_examples(ctx, formatter)
        self.format_commands(ctx, formatter)
        self._format_flags(ctx, formatter)
        program = _program(ctx)
        formatter.write_paragraph()
        formatter.write_text(f'Use "{program} COMMAND --help" for the flags and examples of a command.')
        formatter.write_text(f'Use "{program} options" for the flags of the connection and of AWS.')


def common_flags(ctx: click.Context) -> str:
    """The page of the flags that nearly every command takes."""
    formatter = ctx.make_formatter()
    formatter.write_text("These flags may be given to every command that asks the cluster or AWS.")
    for heading in _COMMON:
        flags = [param for name, param in _SHARED.items() if param.heading == heading]
        with formatter.section(heading):
            formatter.write_dl([record for flag in flags if (record := flag.get_help_record(ctx)) is not None])
    return formatter.getvalue()

"""The flags of `options` in click's terms: which command takes which, their help under headings, and what they say.

A flag may stand before the subcommand or after it; one that the subcommand does not take is refused by name in both
places.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click

from kubectl_lbdoctor.arguments import canonical
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.options import GROUPS, Flag, KubeOptions, Options
from kubectl_lbdoctor.render.formats import Result, formats_of

FORMAT, VERBOSE = "output.format", "output.verbose"
"""Two flags by their names in `take`: GROUP.FIELD."""

_WITH = {VERBOSE: "output.level", "kube": "kubectl_only"}
"""What a command takes, too, where it takes one of these."""


class _Option(click.Option):
    """A flag that knows its heading in the help."""

    heading = ""


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
_NAMES: frozenset[str] = frozenset(name for field, _ in _FIELDS.values() for name in field.metadata["flag"].names)
_SHARED = {
    name: _option(name, field.metadata["flag"], field.default, record.heading)
    for name, (field, record) in _FIELDS.items()
    if name != FORMAT
}


def take(*names: str, result: Result | None = None) -> list[click.Parameter]:
    """The options of these groups (GROUP) and single flags (GROUP.FIELD), for a command that prints `result`."""
    wanted = {*names, *(_WITH[name] for name in names if name in _WITH)}
    taken: list[click.Parameter] = []
    for name, (field, record) in _FIELDS.items():
        if name not in wanted and name.partition(".")[0] not in wanted:
            continue
        if name == FORMAT:
            offered = field.metadata["flag"]._replace(choices=formats_of(result) if result is not None else ())
            taken.append(_option(name, offered, "", record.heading))
        else:
            taken.append(_SHARED[name])
    return taken


def options_of(ctx: click.Context, values: dict[str, Any]) -> Options:
    """The flags of the group, overridden by those of the subcommand; of a flag that is repeated, both count."""
    before, after = _given(ctx.obj["flags"]), _given(values)
    lists = {name: (*before[name], *value) for name, value in after.items() if isinstance(before.get(name), tuple)}
    given = {**before, **after, **lists}
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
    """Help with the flags under their headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags of each heading, in the order of the groups; then what has none (--help)."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "heading", "Options"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Command(_Sections, click.Command):
    """A command that refuses the flags of others by name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does. Raises UsageError for a known flag that is none of this command's, wherever it stands."""
        try:
            rest = super().parse_args(ctx, canonical(args, self.get_params(ctx), whole=True))
        except click.NoSuchOption as error:
            if error.option_name not in _NAMES:
                raise
            raise self._refusal(ctx, [error.option_name]) from None
        before = _given((ctx.obj or {}).get("flags", {}))
        own = {param.name for param in self.params}
        foreign = [
            max(field.metadata["flag"].names, key=len)
            for name, (field, _) in _FIELDS.items()
            if name.replace(".", "_") in before and name.replace(".", "_") not in own
        ]
        if foreign:
            raise self._refusal(ctx, foreign)
        return rest

    def _refusal(self, ctx: click.Context, names: list[str]) -> UsageError:
        return UsageError(f"{ctx.info_name} takes no {' and no '.join(names)}", f"see {ctx.command_path} --help")


class Group(_Sections, click.Group):
    """Commands below the flags, and flags of its own that hold for all of them."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the words up to the name of a command written as kubectl reads them."""
        return super().parse_args(ctx, canonical(args, self.get_params(ctx), whole=False))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands first: there are more flags than fit a screen."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

"""The flags of `options` in click's terms: which command takes which, their help under headings, and what they say.

A flag may stand before the subcommand or after it; one that the subcommand does not take is refused by name in both
places.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.options import GROUPS, Flag, Options
from kubectl_lbdoctor.render.formats import Result, formats_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FORMAT, VERBOSE, YES = "output.format", "output.verbose", "change.yes"
"""Single flags by their names in `take`: GROUP.FIELD."""


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
    settings: dict[str, Any] = {"help": flag.help, "metavar": flag.metavar or None}
    if isinstance(default, bool):
        settings["is_flag"] = True
    elif isinstance(default, tuple):
        settings["multiple"] = True
    elif flag.choices:
        settings["type"] = click.Choice(flag.choices)
    elif flag.metavar == "FILE":
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
    taken: list[click.Parameter] = []
    for name, (field, record) in _FIELDS.items():
        if name not in names and name.partition(".")[0] not in names:
            continue
        if name == FORMAT:
            offered = field.metadata["flag"]._replace(choices=formats_of(result) if result is not None else ())
            taken.append(_option(name, offered, "", record.heading))
        else:
            taken.append(_SHARED[name])
    return taken


def options_of(ctx: click.Context, values: dict[str, Any]) -> Options:
    """The flags of the group, overridden by those of the subcommand."""
    return _options({**_given(ctx.obj["flags"]), **_given(values)})


def typed(ctx: click.Context) -> Options:
    """The flags on a command line that is still being typed: those before the command and after it."""
    given: dict[str, Any] = {}
    for context in (ctx.find_root(), ctx):
        given.update(_given(context.params))
    return _options(given)


def _options(given: dict[str, Any]) -> Options:
    groups: dict[str, Any] = {}
    for group, record in GROUPS.items():
        parameters = {field.name: f"{group}_{field.name}" for field in fields(record)}
        groups[group] = record(**{field: given[name] for field, name in parameters.items() if name in given})
    return Options(**groups)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, False, ())}


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
            rest = super().parse_args(ctx, args)
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

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands first: there are more flags than fit a screen."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

"""`undo`: what a fix has changed is put back exactly, or not at all where somebody changed it since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus, LbdoctorError
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.undo_file import State, UndoFile
from kubectl_lbdoctor.fix.writers import AlreadyThere, Aws, MovedOn, Writer
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render import plan as plan_screen
from kubectl_lbdoctor.render.text import clean
from kubectl_lbdoctor.repair import Screen, step_document
from kubectl_lbdoctor.session import Session


def undo(options: Options, env: Environment, name: str) -> ExitStatus:
    """Put back what a fix has changed, the last change first.

    Raises CouldNotRun for a file that cannot be used or that belongs to another cluster.
    """
    path = Path(name)
    content = undo_file.load(path)
    with Session(options, env) as session:
        _same_place(session, content)
        if any(d.step.change.aws is not None for d in content.steps if d.state in (State.APPLIED, State.SENT)):
            session.open_aws(content.context.region)
        writer = Writer(session.kube, cast("Aws | None", session.aws), env.now())
        return _Undo(options, env, writer, content, path).go()


def _same_place(session: Session, content: UndoFile) -> None:
    """Raise CouldNotRun when the current context is another cluster than the one that was changed."""
    if content.context.server != session.context.server:
        raise CouldNotRun(
            f"the fix was made in another cluster: {content.context.server}, not {session.context.server}",
            f"switch with --context {content.context.kube_context}" if content.context.kube_context else "",
        )


class _Undo:
    def __init__(self, options: Options, env: Environment, writer: Writer, content: UndoFile, path: Path) -> None:
        self._options = options
        self._env = env
        self._writer = writer
        self._content = content
        self._path = path
        self._screen = Screen(env, options)
        self._status = "nothing to undo"
        self._errors: list[str] = []

    def go(self) -> ExitStatus:
        try:
            return self._go()
        finally:
            steps = [{**step_document(done.step), "state": done.state.value} for done in self._content.steps]
            document = {"status": self._status, "undoFile": str(self._path), "steps": steps, "errors": self._errors}
            self._screen.document("UndoResult", document)

    def _mark(self, index: int, state: State) -> None:
        self._content = self._content.with_state(index, state)

    def _save(self) -> None:
        undo_file.save(self._content, self._path)

    def _go(self) -> ExitStatus:
        todo = self._standing()
        if todo is None:
            self._status = "refused"
            self._screen.note("nothing was taken back")
            refused = all(error.startswith("moved: ") for error in self._errors)
            self._errors = [error.removeprefix("moved: ") for error in self._errors]
            return ExitStatus.FINDINGS if refused else ExitStatus.COULD_NOT_RUN
        if not todo:
            used = f"it was undone {self._content.undone_at}" if self._content.undone_at else "no change is in effect"
            self._screen.note(f"nothing is left to take back: {used}")
            return ExitStatus.HEALTHY
        steps = [self._content.steps[index].step for index in todo]
        self._screen.plan(plan_screen.undo_table(steps, self._screen.width))
        if self._options.dry_run == "client":
            return self._only("dry run: nothing was changed")
        if not self._each(todo, self._writer.rehearse_undo, "nothing was taken back"):
            return ExitStatus.COULD_NOT_RUN
        if self._options.dry_run == "server":
            return self._only("dry run: the servers accept every change; nothing was changed")
        if not self._confirmed(len(todo)):
            self._status = "declined"
            self._screen.note("nothing was changed")
            return ExitStatus.FINDINGS
        for done, index in enumerate(todo):
            change = self._content.steps[index].step.change
            try:
                self._writer.undo(change)
            except AlreadyThere:
                pass
            except LbdoctorError as error:
                self._status = "failed"
                self._errors.append(error.message)
                self._screen.note(f"error: {change.object}: {error.message}")
                left = len(todo) - done
                said = "1 change is" if left == 1 else f"{left} changes are"
                again = kubectl("lbdoctor", "undo", str(self._path))
                self._screen.note(f"{said} still in effect; try again with: {again}")
                return ExitStatus.COULD_NOT_RUN
            self._mark(index, State.UNDONE)
            self._content = replace(self._content, undone_at=self._env.now())
            self._save()
            self._screen.line("undone", f"{change.object}  {change.field}: {change.now}")
        self._status = "undone"
        self._advise()
        return ExitStatus.HEALTHY

    def _only(self, note: str) -> ExitStatus:
        self._status = "planned"
        self._screen.note(note)
        return ExitStatus.HEALTHY

    def _standing(self) -> list[int] | None:
        """The steps to take back, the last first; None where one was changed again since."""
        todo: list[int] = []
        refused = False
        for index, done in reversed(list(enumerate(self._content.steps))):
            change = done.step.change
            if done.state not in (State.APPLIED, State.SENT):
                continue
            if not change.reversible:
                self._screen.note(f"{change.object}: a restart cannot be taken back, and need not be")
                continue
            try:
                self._writer.check_undo(change, done.uid)
            except AlreadyThere:
                self._screen.note(f"{change.object}: {change.field} is {change.now} already")
                self._mark(index, State.UNDONE)
                continue
            except LbdoctorError as error:
                refused = True
                said = error.message.replace(" as planned", " as the fix has set it")
                self._errors.append(f"moved: {said}" if isinstance(error, MovedOn) else said)
                self._screen.note(f"error: {said}")
                continue
            todo.append(index)
        return None if refused else todo

    def _each(self, todo: list[int], action: Callable[..., None], ending: str) -> bool:
        fine = True
        for index in todo:
            change = self._content.steps[index].step.change
            try:
                action(change)
            except LbdoctorError as error:
                fine = False
                self._status = "refused"
                self._errors.append(error.message)
                self._screen.note(f"error: {change.object}: {error.message}; {ending}")
        return fine

    def _confirmed(self, count: int) -> bool:
        if self._options.yes:
            return True
        context = self._content.context
        where = clean(context.kube_context or context.server)
        return self._env.confirm(f"Take back {count} change{'s' if count > 1 else ''} in context {where}? [y/N]: ")

    def _advise(self) -> None:
        by_namespace: dict[str, list[str]] = {}
        for ref in self._content.subjects:
            by_namespace.setdefault(ref.namespace, []).append(str(ref))
        for namespace, names in by_namespace.items():
            self._screen.note(f"look with: {kubectl('lbdoctor', *names, namespace=namespace)}")

"""`-o dot` and `-o mermaid`: the pictures as graphs, for Graphviz and for what draws Mermaid (GitHub, GitLab, wikis).

Both draw one graph of nodes and edges: what stands on the way, and the filters between as words on an edge.
A verdict shows in words, in a sign and in the line: solid passes, thick blocks, dashed is unknown, dotted not reached.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.model.picture import AT_TARGET, Branch, Hop, Picture, Pictured, Stop, Verdict, ZonePart, worst
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.record import record
from kubectl_lbdoctor.render.picture_words import CLASSES, MARKS, PLACES, crowd_of, health_of, missing_of, verdict_of
from kubectl_lbdoctor.render.report_screen import first_repair, sentence_of
from kubectl_lbdoctor.render.text import clean


@record
class Node:
    """A box: the lines of text in it, and what it does with the traffic."""

    key: str
    lines: tuple[str, ...]
    verdict: Verdict


@record
class Edge:
    """A line from one node to another. lines: what stands on it. verdict: whether anything gets along it."""

    tail: str
    head: str
    lines: tuple[str, ...]
    verdict: Verdict


@record
class Graph:
    """Everything of one picture, in the order of the way."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph_of(picture: Picture, report: Report) -> Graph:
    """The picture as nodes and edges."""
    builder = _Builder(report)
    builder.picture(picture)
    ref = picture.subject
    name = "/".join(filter(None, (ref.namespace, ref.name)))
    title = f"{ref.kind} {name}: {picture.status.value}"
    return Graph(title, tuple(builder.nodes), tuple(builder.edges))


class _Builder:
    def __init__(self, report: Report) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self._where = report.where
        self._by_rank = {diagnosis.rank: diagnosis for diagnosis in report.diagnoses}
        self._told: set[int] = set()

    def picture(self, picture: Picture) -> None:
        *objects, maker = picture.made
        asked = [(self._hop(hop), hop.verdict) for hop in objects]
        made = self._hop(maker)
        for key, verdict in asked:
            self._edge(key, made, (), _after(Verdict.PASSES, verdict))
        clients, balancer = (self._hop(hop) for hop in picture.front) if picture.front else ("", "")
        if not balancer:
            return
        self._edge(clients, balancer, (), picture.front[0].verdict)
        self._edge(made, balancer, ("makes",), picture.made[-1].verdict)
        for branch in picture.branches:
            self._branch(balancer, branch)
        for branch in picture.folded:
            self._edge(balancer, self._node((branch.backend, health_of(branch)), branch.verdict), (), Verdict.PASSES)
        for verdict, count in picture.left_out:
            self._edge(balancer, self._node((f"{count} more backends",), verdict), (), Verdict.PASSES)

    def _branch(self, balancer: str, branch: Branch) -> None:
        last = self._chain(balancer, branch.hops, Verdict.PASSES)
        reached = worst(hop.verdict for hop in branch.hops)
        for zone in branch.zones:
            self._zone(last or balancer, zone, reached)
        self._chain(last, branch.ends, _after(Verdict.PASSES, reached))
        if branch.more_zones:
            self._edge(last, self._node((f"{branch.more_zones} more subnets",), Verdict.PASSES), (), reached)

    def _zone(self, tail: str, zone: ZonePart, reached: Verdict) -> None:
        name = tuple(filter(None, (zone.zone or "zone not known", zone.subnet, zone.cidr)))
        key = self._node((*name, *self._causes(zone.hop)), zone.hop.verdict)
        gates = worst(gate.verdict for gate in zone.gates)
        at_gates = _after(Verdict.PASSES, reached)
        met = gates if at_gates is Verdict.PASSES else at_gates
        self._edge(tail, key, tuple(_filters(zone.gates)) + self._gate_causes(zone.gates), met)
        inside = _after(_after(at_gates, gates), zone.hop.verdict)
        for stop in zone.stops:
            self._stop(key, stop, inside)
        for crowd in zone.crowds:
            self._edge(key, self._node((crowd_of(crowd),), crowd.verdict), (), inside)

    def _stop(self, tail: str, stop: Stop, reached: Verdict) -> None:
        own = [hop for hop in stop.hops if hop.place in AT_TARGET]
        alike = (f"and {stop.alike} more that fare alike",) if stop.alike else ()
        key = self._node((stop.target, f"{stop.state} {stop.reason}".strip(), *alike), reached, said=False)
        self._edge(tail, key, (), reached)
        self._chain(key, own, reached)

    def _chain(self, tail: str, hops: Sequence[Hop], reached: Verdict) -> str:
        """Hops behind each other; the last of them, or the tail where there are none."""
        for hop in hops:
            key = self._hop(hop)
            if tail:
                self._edge(tail, key, (), reached)
            tail, reached = key, _after(reached, hop.verdict)
        return tail

    def _hop(self, hop: Hop) -> str:
        texts = (PLACES[hop.place], hop.name, hop.decided, missing_of(hop))
        first = f"{MARKS[hop.verdict]} {verdict_of(hop)}"
        return self._node((first, *filter(None, texts), *self._causes(hop)), hop.verdict, said=False)

    def _causes(self, hop: Hop) -> tuple[str, ...]:
        """What lies at a hop, and at the first one the command that repairs it."""
        texts = []
        for diagnosis in (self._by_rank[rank] for rank in hop.causes):
            texts.append(f"{diagnosis.finding.code}: {sentence_of(diagnosis)}")
            repair = first_repair(diagnosis)
            if repair and diagnosis.rank not in self._told:
                texts.append(f"repair: {self._where.command(repair)}")
            self._told.add(diagnosis.rank)
        return tuple(texts)

    def _gate_causes(self, gates: Sequence[Hop]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for gate in gates for text in self._causes(gate)))

    def _node(self, lines: Sequence[str], verdict: Verdict, said: bool = True) -> str:
        """A box. said: its verdict in words comes first."""
        key = f"n{len(self.nodes)}"
        first = (f"{MARKS[verdict]} {verdict.value}",) if said else ()
        self.nodes.append(Node(key, (*first, *filter(None, lines)), verdict))
        return key

    def _edge(self, tail: str, head: str, lines: tuple[str, ...], verdict: Verdict) -> None:
        self.edges.append(Edge(tail, head, lines, verdict))


def _filters(gates: Sequence[Hop]) -> Iterator[str]:
    """The filters on an edge: those that let pass as a count."""
    passing = sum(1 for gate in gates if gate.verdict is Verdict.PASSES)
    if passing:
        yield f"{MARKS[Verdict.PASSES]} {passing} filter{'' if passing == 1 else 's'} let it pass"
    for gate in gates:
        if gate.verdict is not Verdict.PASSES:
            texts = (PLACES[gate.place], gate.name, gate.decided, missing_of(gate))
            yield f"{MARKS[gate.verdict]} {verdict_of(gate)}: {' '.join(filter(None, texts))}"


def _after(reached: Verdict, met: Verdict) -> Verdict:
    """What gets beyond a hop with the verdict `met`, of what reached it."""
    if {reached, met} & {Verdict.BLOCKS, Verdict.NOT_REACHED}:
        return Verdict.NOT_REACHED
    return worst((reached, met))


_COLOURS = {
    Verdict.PASSES: "#1c6b41",
    Verdict.BLOCKS: "#a8201a",
    Verdict.UNKNOWN: "#765000",
    Verdict.NOT_REACHED: "#5d6167",
}

# --- Graphviz: https://graphviz.org/doc/info/lang.html ----------------------------------------------------------------

_DOT_LINES = {
    Verdict.PASSES: "",
    Verdict.BLOCKS: ", penwidth=3",
    Verdict.UNKNOWN: ", style=dashed",
    Verdict.NOT_REACHED: ", style=dotted",
}


def _dot_styles(blocked: str) -> dict[Verdict, str]:
    """How nodes or edges look by their verdicts. blocked: what else shows that one blocks."""
    drawn = {verdict: f'color="{_COLOURS[verdict]}"{line}' for verdict, line in _DOT_LINES.items()}
    return {**drawn, Verdict.BLOCKS: f"{drawn[Verdict.BLOCKS]}, {blocked}"}


_DOT_NODES, _DOT_EDGES = (
    _dot_styles("shape=octagon"),
    _dot_styles(f'arrowhead=tee, fontcolor="{_COLOURS[Verdict.BLOCKS]}"'),
)


_DOT_WIDTH = 48
"""Characters of a line: Graphviz breaks none itself."""


def dot(drawn: Pictured) -> str:
    """The pictures in Graphviz's language, one graph for each."""
    return "".join(_dot(graph_of(picture, drawn.report)) for picture in drawn.pictures)


def _dot(graph: Graph) -> str:
    lines = [f"digraph {_dot_text((graph.title,))} {{"]
    lines += [f"  label={_dot_text((graph.title,))}; labelloc=t; rankdir=LR; bgcolor=white;"]
    lines += ['  node [shape=box, fontname="sans-serif", fontsize=11]; edge [fontname="sans-serif", fontsize=10];']
    lines += [f"  {node.key} [label={_dot_text(node.lines)}, {_DOT_NODES[node.verdict]}];" for node in graph.nodes]
    for edge in graph.edges:
        label = f"label={_dot_text(edge.lines)}, " if edge.lines else ""
        lines.append(f"  {edge.tail} -> {edge.head} [{label}{_DOT_EDGES[edge.verdict]}];")
    return "\n".join([*lines, "}", ""])


def _dot_text(lines: Sequence[str]) -> str:
    r"""A quoted text; a backslash is doubled, because Graphviz reads \N, \G and their like in labels."""
    pieces = (piece for line in lines for piece in textwrap.wrap(clean(line), _DOT_WIDTH, break_on_hyphens=False))
    escaped = (piece.replace("\\", "\\\\").replace('"', '\\"') for piece in pieces)
    text = "\\n".join(escaped)
    return f'"{text}"'


# --- Mermaid: https://mermaid.js.org/syntax/flowchart.html ------------------------------------------------------------

_PLAIN = re.compile(r"[^A-Za-z0-9 .,:/()_✓✗–-]")
_MERMAID_EDGES = {Verdict.PASSES: "-->", Verdict.BLOCKS: "==x", Verdict.UNKNOWN: "-.->", Verdict.NOT_REACHED: "-.-x"}
_MERMAID_LINES = {
    Verdict.PASSES: "",
    Verdict.BLOCKS: ",stroke-width:4px",
    Verdict.UNKNOWN: ",stroke-width:2px,stroke-dasharray:8 4",
    Verdict.NOT_REACHED: ",stroke-dasharray:2 4",
}


def mermaid(drawn: Pictured) -> str:
    """The pictures as one flowchart, with a subgraph for each where there are several."""
    lines = ["flowchart LR"]
    several = len(drawn.pictures) > 1
    for number, picture in enumerate(drawn.pictures):
        graph = graph_of(picture, drawn.report)
        prefix = f"p{number}" if several else ""
        inside = list(_mermaid(graph, prefix))
        lines += [f"  subgraph g{number}[{_mermaid_text((graph.title,))}]", *inside, "  end"] if several else inside
    lines += [f"  classDef {CLASSES[v]} stroke:{_COLOURS[v]}{line}" for v, line in _MERMAID_LINES.items()]
    return "\n".join([*lines, ""])


def _mermaid(graph: Graph, prefix: str) -> Iterator[str]:
    for node in graph.nodes:
        yield f"  {prefix}{node.key}[{_mermaid_text(node.lines)}]:::{CLASSES[node.verdict]}"
    for edge in graph.edges:
        label = f"|{_mermaid_text(edge.lines)}|" if edge.lines else ""
        yield f"  {prefix}{edge.tail} {_MERMAID_EDGES[edge.verdict]}{label} {prefix}{edge.head}"


def _mermaid_text(lines: Sequence[str]) -> str:
    """A quoted text in which whatever Mermaid or HTML might read stands as the number of its character."""
    escaped = (_PLAIN.sub(lambda found: f"#{ord(found[0])};", clean(line)) for line in lines)
    text = "<br>".join(escaped)
    return f'"{text}"'
